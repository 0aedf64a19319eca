package story

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"camfleet.dev/reconciler/hook/hooktest"
	"camfleet.dev/reconciler/source/sourcetest"
)

// The secrets between the Git server and the reconciler.
const (
	gitToken   = "a token that may read"
	hookSecret = "what both know"
)

// serveGit serves the repository by HTTPS, with a certificate that an authority of
// the test's own has signed, to who has the token. It returns the authority.
func (w *world) serveGit() (authority []byte) {
	w.Helper()
	server := sourcetest.NewServer(w.T, filepath.Dir(w.repo.Dir))
	server.Token = gitToken
	authority, certificate := w.certificate()
	l, err := tls.Listen("tcp", net.JoinHostPort(w.c.Address, "443"), &tls.Config{Certificates: []tls.Certificate{certificate}})
	w.must(err)
	public := &http.Server{Handler: server.Config.Handler, ReadHeaderTimeout: 10 * time.Second}
	go public.Serve(l)                   //nolint:errcheck // Close ends it
	w.Cleanup(func() { public.Close() }) //nolint:errcheck // the test is over
	w.gitURL = "https://" + w.c.Address + "/" + filepath.Base(w.repo.Dir) + "/.git"
	return authority
}

// certificate makes an authority and a certificate for this machine.
func (w *world) certificate() ([]byte, tls.Certificate) {
	w.Helper()
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the plant's authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "git"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.ParseIP(w.c.Address)},
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, &authorityKey.PublicKey, authorityKey)
	w.must(err)
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority, &key.PublicKey, authorityKey)
	w.must(err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authorityDER}), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// push commits files (path, content …) and tells the reconciler, as a Git server does.
func (w *world) push(pairs ...string) (commit string) {
	w.Helper()
	commit = w.repo.Commit(pairs...)
	address := w.kubectl("get", "service", "-n", "camfleet-system", "camfleet", "-o", "jsonpath={.spec.clusterIP}")
	// A Service leads to a Pod a moment after the Pod is Ready: kube-proxy has to see it.
	w.within(30*time.Second, "the reconciler takes the hook", func() error { return w.deliver("http://" + address + ":8080/hook") })
	return commit
}

// deliver posts what GitHub posts of a push.
func (w *world) deliver(url string) error {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	code, err := hooktest.Push(ctx, url, hookSecret)
	if err == nil && code/100 != 2 {
		w.Fatalf("POST /hook: %d", code)
	}
	return err
}

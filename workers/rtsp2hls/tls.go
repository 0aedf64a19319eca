package rtsp2hls

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// authorityName is the file in a camera's secret that says whom to trust,
// beside what the system trusts: authorities, or the camera's own certificate,
// which most cameras sign themselves.
const authorityName = "ca.crt"

// tlsConfig is how RTSPS is checked. Without ca.crt the system's authorities decide.
func tlsConfig(dir, credentials string) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if credentials == "" || dir == "" {
		return c
	}
	data, err := os.ReadFile(filepath.Join(dir, authorityName))
	if err != nil {
		return c // none is the usual case
	}
	trusted := parseCertificates(data)
	c.InsecureSkipVerify = true // VerifyConnection does it: a pinned certificate has any name
	c.VerifyConnection = func(cs tls.ConnectionState) error { return verify(cs, trusted) }
	return c
}

func parseCertificates(data []byte) []*x509.Certificate {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return all
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, c)
		}
	}
}

// verify accepts a certificate that is trusted itself, or signed by one that is.
func verify(cs tls.ConnectionState, trusted []*x509.Certificate) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("the camera shows no certificate")
	}
	roots := x509.NewCertPool()
	for _, c := range trusted {
		if bytes.Equal(c.Raw, cs.PeerCertificates[0].Raw) {
			return nil
		}
		roots.AddCert(c)
	}
	between := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: cs.ServerName, Roots: roots, Intermediates: between})
	if err != nil {
		return fmt.Errorf("the camera's certificate is not one that %s trusts: %w", authorityName, err)
	}
	return nil
}

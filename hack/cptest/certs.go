package cptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The files of a cluster's folder that hold keys and certificates.
const (
	caFile         = "ca.crt"
	caKeyFile      = "ca.key"
	servingFile    = "apiserver.crt"
	servingKeyFile = "apiserver.key"
	accountKeyFile = "service-account.key"
)

// ServiceRange is what the addresses of Services are from.
const ServiceRange = "10.96.0.0/16"

// serviceIP is the first of them: the apiserver's own Service.
const serviceIP = "10.96.0.1"

// writeCertificates makes the certificate authority, the apiserver's certificate
// and the key that service account tokens are signed with, and returns the
// authority's certificate. They are valid for a day.
func writeCertificates(dir, address string, now time.Time) ([]byte, error) {
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "camfleet-cptest"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	serving := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPAddresses: []net.IP{net.ParseIP(address), net.IPv4(127, 0, 0, 1), net.ParseIP(serviceIP)},
	}
	caKey, err := writeKey(filepath.Join(dir, caKeyFile))
	if err != nil {
		return nil, err
	}
	servingKey, err := writeKey(filepath.Join(dir, servingKeyFile))
	if err != nil {
		return nil, err
	}
	if _, err := writeKey(filepath.Join(dir, accountKeyFile)); err != nil {
		return nil, err
	}
	if _, err := writeCertificate(filepath.Join(dir, servingFile), serving, ca, servingKey, caKey); err != nil {
		return nil, err
	}
	return writeCertificate(filepath.Join(dir, caFile), ca, ca, caKey, caKey)
}

func writeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	return key, nil
}

func writeCertificate(path string, cert, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		return nil, fmt.Errorf("writing a certificate: %w", err)
	}
	return block, nil
}

// newToken is a bearer token that nobody can guess.
func newToken() string {
	b := make([]byte, 16)
	rand.Read(b) //nolint:errcheck // it never fails
	return hex.EncodeToString(b)
}

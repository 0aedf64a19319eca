// Package sshsig checks signatures made with SSH keys (OpenSSH's
// PROTOCOL.sshsig, what git writes with gpg.format=ssh), and reads the file
// that lists whose keys count (ALLOWED SIGNERS in ssh-keygen(1)).
package sshsig

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
)

// The lines around a signature.
const (
	Begin = "-----BEGIN SSH SIGNATURE-----"
	End   = "-----END SSH SIGNATURE-----"
)

const (
	magic   = "SSHSIG"
	maxBlob = 64 << 10
	minRSA  = 2048 // bits; OpenSSH itself refuses fewer by default since 9.8
)

// ErrAltered is a signature of something else than what it was found at.
var ErrAltered = errors.New("the signature is of other content")

// Signature is a signature as it was read: nothing is verified yet.
type Signature struct {
	Key       ssh.PublicKey
	Namespace string // what it was made for: "git", "file", …

	reserved, hash string
	signature      ssh.Signature
}

// blob is the part of a signature behind its magic, in SSH's wire format.
type blob struct {
	Version   uint32
	Key       []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

// Parse reads an armored signature.
func Parse(armored []byte) (*Signature, error) {
	raw, err := unarmor(armored)
	if err != nil {
		return nil, err
	}
	var b blob
	rest, ok := bytes.CutPrefix(raw, []byte(magic))
	if !ok || ssh.Unmarshal(rest, &b) != nil {
		return nil, errors.New("the SSH signature is damaged")
	}
	if b.Version != 1 {
		return nil, fmt.Errorf("the SSH signature has version %d; only 1 is known", b.Version)
	}
	s := &Signature{Namespace: b.Namespace, reserved: b.Reserved, hash: b.Hash}
	if s.Key, err = ssh.ParsePublicKey(b.Key); err != nil {
		return nil, fmt.Errorf("the SSH signature's key cannot be read: %w", err)
	}
	if ssh.Unmarshal(b.Signature, &s.signature) != nil {
		return nil, errors.New("the SSH signature is damaged: it holds no signature")
	}
	return s, nil
}

func unarmor(armored []byte) ([]byte, error) {
	text := bytes.TrimSpace(armored)
	text, begins := bytes.CutPrefix(text, []byte(Begin))
	text, ends := bytes.CutSuffix(text, []byte(End))
	if !begins || !ends {
		return nil, errors.New("the SSH signature is cut off")
	}
	text = bytes.Join(bytes.Fields(text), nil)
	if len(text) > maxBlob {
		return nil, fmt.Errorf("the SSH signature has %d bytes, at most %d are read", len(text), maxBlob)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil {
		return nil, errors.New("the SSH signature is damaged: it is not base64")
	}
	return raw, nil
}

// Fingerprint is the key's, as ssh-keygen -l shows it.
func (s *Signature) Fingerprint() string { return ssh.FingerprintSHA256(s.Key) }

// kinds are the keys that may sign, and with which algorithms: neither DSA
// nor SHA-1, and no certificates.
var kinds = map[string][]string{
	ssh.KeyAlgoED25519:    {ssh.KeyAlgoED25519},
	ssh.KeyAlgoECDSA256:   {ssh.KeyAlgoECDSA256},
	ssh.KeyAlgoECDSA384:   {ssh.KeyAlgoECDSA384},
	ssh.KeyAlgoECDSA521:   {ssh.KeyAlgoECDSA521},
	ssh.KeyAlgoRSA:        {ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512},
	ssh.KeyAlgoSKED25519:  {ssh.KeyAlgoSKED25519},
	ssh.KeyAlgoSKECDSA256: {ssh.KeyAlgoSKECDSA256},
}

// checkKey says why a key may sign nothing.
func checkKey(key ssh.PublicKey) error {
	if _, ok := key.(*ssh.Certificate); ok {
		return errors.New("it is a certificate, and certificates are not supported: sign with the key itself, and list that")
	}
	if kinds[key.Type()] == nil {
		return fmt.Errorf("keys of type %s are not supported: use ed25519", key.Type())
	}
	if c, ok := key.(ssh.CryptoPublicKey); ok {
		if k, ok := c.CryptoPublicKey().(*rsa.PublicKey); ok && k.N.BitLen() < minRSA {
			return fmt.Errorf("an RSA key of %d bits is too short: use ed25519, or RSA of %d bits", k.N.BitLen(), minRSA)
		}
	}
	return nil
}

// Usable says why nothing is believed that is signed like this, whoever did.
func (s *Signature) Usable() error {
	if err := checkKey(s.Key); err != nil {
		return err
	}
	if !slices.Contains(kinds[s.Key.Type()], s.signature.Format) {
		return fmt.Errorf("a signature of type %s by a key of type %s is not accepted: newer OpenSSH makes one with SHA-2", s.signature.Format, s.Key.Type())
	}
	if s.hash != "sha256" && s.hash != "sha512" {
		return fmt.Errorf("a signature over a %q hash is not accepted: use sha512", s.hash)
	}
	return nil
}

// Verify says whether the signature is of message, by its key. It does not say
// whose key that is, or what for.
func (s *Signature) Verify(message []byte) error {
	if err := s.Usable(); err != nil {
		return err
	}
	signed := append([]byte(magic), ssh.Marshal(struct{ Namespace, Reserved, Hash, Sum string }{
		s.Namespace, s.reserved, s.hash, s.sum(message),
	})...)
	if err := s.Key.Verify(signed, &s.signature); err != nil {
		return fmt.Errorf("%w (%w)", ErrAltered, err)
	}
	return nil
}

func (s *Signature) sum(message []byte) string {
	if s.hash == "sha256" {
		sum := sha256.Sum256(message)
		return string(sum[:])
	}
	sum := sha512.Sum512(message)
	return string(sum[:])
}

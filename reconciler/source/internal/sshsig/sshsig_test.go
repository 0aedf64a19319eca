package sshsig_test

import (
	"bytes"
	"crypto/dsa" //lint:ignore SA1019 to see it refused
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"camfleet.dev/reconciler/source/internal/sshsig"
)

const message = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nmessage\n"

func signer(t testing.TB, key any) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ed25519Signer(t testing.TB) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer(t, private)
}

func rsaSigner(t testing.TB, bits int) ssh.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return signer(t, key)
}

// parts of a signature; what is not set is as it should be.
type parts struct {
	key       ssh.Signer
	algorithm string
	version   uint32
	namespace string
	reserved  string
	hash      string
	magic     string
	public    []byte
	signature []byte
	after     string // behind the end of the blob
}

// sign makes a signature in this process, so that each part can be wrong.
func (p parts) sign(t testing.TB) []byte {
	t.Helper()
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	p.namespace, p.hash, p.magic = or(p.namespace, "git"), or(p.hash, "sha512"), or(p.magic, "SSHSIG")
	sum := sha512.Sum512([]byte(message))
	digest := sum[:]
	if p.hash == "sha256" {
		short := sha256.Sum256([]byte(message))
		digest = short[:]
	}
	signed := append([]byte("SSHSIG"), ssh.Marshal(struct{ N, R, H, S string }{p.namespace, p.reserved, p.hash, string(digest)})...)
	var sig *ssh.Signature
	var err error
	if a, ok := p.key.(ssh.AlgorithmSigner); ok && p.algorithm != "" {
		sig, err = a.SignWithAlgorithm(rand.Reader, signed, p.algorithm)
	} else {
		sig, err = p.key.Sign(rand.Reader, signed)
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.version == 0 {
		p.version = 1
	}
	if p.public == nil {
		p.public = p.key.PublicKey().Marshal()
	}
	if p.signature == nil {
		p.signature = ssh.Marshal(sig)
	}
	raw := append([]byte(p.magic), ssh.Marshal(struct {
		V          uint32
		K, N, R, H string
		S          []byte
	}{p.version, string(p.public), p.namespace, p.reserved, p.hash, p.signature})...)
	return armor(append(raw, p.after...))
}

func armor(raw []byte) []byte {
	text := base64.StdEncoding.EncodeToString(raw)
	var out bytes.Buffer
	out.WriteString(sshsig.Begin + "\n")
	for len(text) > 70 {
		out.WriteString(text[:70] + "\n")
		text = text[70:]
	}
	out.WriteString(text + "\n" + sshsig.End + "\n")
	return out.Bytes()
}

func TestTampered(t *testing.T) {
	t.Parallel()
	key, other, strong := ed25519Signer(t), ed25519Signer(t), rsaSigner(t, 2048)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var old dsa.PrivateKey
	if err := dsa.GenerateParameters(&old.Parameters, rand.Reader, dsa.L1024N160); err != nil {
		t.Fatal(err)
	}
	if err := dsa.GenerateKey(&old, rand.Reader); err != nil {
		t.Fatal(err)
	}
	cert := &ssh.Certificate{Key: key.PublicKey(), CertType: ssh.UserCert, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, other); err != nil {
		t.Fatal(err)
	}
	certified, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	good := parts{key: key}.sign(t)
	for _, c := range []struct {
		name string
		sig  []byte
		want string
	}{
		{"ed25519", good, ""},
		{"sha256", parts{key: key, hash: "sha256"}.sign(t), ""},
		{"ecdsa", parts{key: signer(t, p256)}.sign(t), ""},
		{"rsa", parts{key: strong, algorithm: ssh.KeyAlgoRSASHA512}.sign(t), ""},
		{"rsa with sha256", parts{key: strong, algorithm: ssh.KeyAlgoRSASHA256}.sign(t), ""},
		{"reserved is signed, too", parts{key: key, reserved: "later"}.sign(t), ""},
		{"blanks around it", append([]byte("\n "), append(good, '\n', ' ')...), ""},
		{"rsa with SHA-1", parts{key: strong, algorithm: ssh.KeyAlgoRSA}.sign(t), "ssh-rsa by a key of type ssh-rsa is not accepted"},
		{"short rsa", parts{key: rsaSigner(t, 1024), algorithm: ssh.KeyAlgoRSASHA512}.sign(t), "1024 bits is too short"},
		{"dsa", parts{key: signer(t, &old)}.sign(t), "ssh-dss are not supported"},
		{"certificate", parts{key: certified}.sign(t), "certificates are not supported"},
		{"other key", parts{key: key, public: other.PublicKey().Marshal()}.sign(t), "other content"},
		{"key of another type", parts{key: key, public: strong.PublicKey().Marshal()}.sign(t), "ssh-ed25519 by a key of type ssh-rsa"},
		{"md5", parts{key: key, hash: "md5"}.sign(t), `"md5" hash is not accepted`},
		{"no key", parts{key: key, public: []byte("x")}.sign(t), "key cannot be read"},
		{"no signature", parts{key: key, signature: []byte{0}}.sign(t), "holds no signature"},
		{"signature and more", parts{key: key, signature: append(ssh.Marshal(&ssh.Signature{Format: "ssh-ed25519", Blob: make([]byte, 64)}), 1)}.sign(t), "other content"},
		{"zero signature", parts{key: key, signature: ssh.Marshal(&ssh.Signature{Format: "ssh-ed25519", Blob: make([]byte, 64)})}.sign(t), "other content"},
		{"empty signature", parts{key: key, signature: ssh.Marshal(&ssh.Signature{Format: "ssh-ed25519"})}.sign(t), "other content"},
		{"version 2", parts{key: key, version: 2}.sign(t), "version 2"},
		{"wrong magic", parts{key: key, magic: "SSHSIX"}.sign(t), "damaged"},
		{"more behind it", parts{key: key, after: "x"}.sign(t), "damaged"},
		{"nothing in it", armor(nil), "damaged"},
		{"not base64", []byte(sshsig.Begin + "\n!!!!\n" + sshsig.End), "not base64"},
		{"cut", good[:len(good)-20], "cut off"},
		{"too long", armor(make([]byte, 1<<20)), "at most 65536"},
		{"empty", nil, "cut off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := check(c.sig, message)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if c.want == "" && !errors.Is(check(c.sig, message+" "), sshsig.ErrAltered) {
				t.Error("other content is not noticed")
			}
		})
	}
}

func check(armored []byte, content string) error {
	s, err := sshsig.Parse(armored)
	if err != nil {
		return err
	}
	return s.Verify([]byte(content))
}

// keygen runs ssh-keygen in a folder.
func keygen(t testing.TB, dir, stdin string, args ...string) error {
	t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return errors.New(string(out))
	}
	return nil
}

func needKeygen(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil && os.Getenv("CI") == "" {
		t.Skip("ssh-keygen is not here")
	} else if err != nil {
		t.Fatal(err)
	}
}

func TestReadsWhatOpenSSHWrites(t *testing.T) {
	t.Parallel()
	needKeygen(t)
	for _, kind := range [][]string{{"ed25519"}, {"ecdsa", "-b", "256"}, {"ecdsa", "-b", "384"}, {"ecdsa", "-b", "521"}, {"rsa", "-b", "2048"}} {
		t.Run(strings.Join(kind, ""), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := keygen(t, dir, "", append([]string{"-q", "-N", "", "-f", "key", "-t"}, kind...)...); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "message"), []byte(message), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := keygen(t, dir, "", "-Y", "sign", "-n", "git", "-f", "key", "message"); err != nil {
				t.Fatal(err)
			}
			sig, err := os.ReadFile(filepath.Join(dir, "message.sig"))
			if err != nil {
				t.Fatal(err)
			}
			if err := check(sig, message); err != nil {
				t.Error(err)
			}
			if err := check(sig, "other"); !errors.Is(err, sshsig.ErrAltered) {
				t.Error(err)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(parts{key: ed25519Signer(f)}.sign(f))
	f.Add(parts{key: rsaSigner(f, 2048), algorithm: ssh.KeyAlgoRSASHA512}.sign(f))
	f.Fuzz(func(t *testing.T, armored []byte) {
		s, err := sshsig.Parse(armored)
		if err != nil {
			return
		}
		if s.Fingerprint() == "" {
			t.Error("no fingerprint")
		}
		if s.Verify([]byte("never signed by anybody: a4b1")) == nil {
			t.Error("it verifies for anything")
		}
	})
}

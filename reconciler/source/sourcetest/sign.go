package sourcetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Key is an SSH key pair on disk.
type Key struct {
	t    testing.TB
	File string // the private key's; .pub is behind the public one's
}

// NewKey makes a key with ssh-keygen, of a kind like "ed25519" or "rsa", "-b", "2048".
// Where that is missing the test is skipped, unless this is CI.
func NewKey(t testing.TB, kind ...string) *Key {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil && os.Getenv("CI") == "" {
		t.Skipf("no signatures without ssh-keygen: %v", err)
	}
	k := &Key{t: t, File: filepath.Join(t.TempDir(), "key")}
	k.keygen("", append([]string{"-q", "-N", "", "-C", "", "-f", k.File, "-t"}, kind...)...)
	return k
}

func (k *Key) keygen(stdin string, args ...string) string {
	k.t.Helper()
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		k.t.Fatalf("ssh-keygen %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// Public is the public key as authorized_keys and allowed_signers hold it.
func (k *Key) Public() string {
	k.t.Helper()
	b, err := os.ReadFile(k.File + ".pub")
	if err != nil {
		k.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// Fingerprint is the key's, as OpenSSH shows it.
func (k *Key) Fingerprint() string { return strings.Fields(k.keygen("", "-l", "-f", k.File))[1] }

// Sign signs a message for a namespace, as ssh-keygen -Y sign does.
func (k *Key) Sign(namespace, message string) string {
	return k.keygen(message, "-Y", "sign", "-n", namespace, "-f", k.File)
}

// SignWith makes git sign all commits from here on; nil makes it stop.
func (r *Repo) SignWith(k *Key) {
	r.t.Helper()
	if k == nil {
		r.Git("config", "commit.gpgsign", "false")
		return
	}
	r.Git("config", "gpg.format", "ssh")
	r.Git("config", "user.signingkey", k.File)
	r.Git("config", "commit.gpgsign", "true")
}

// CommitRaw makes any bytes the newest commit of main.
func (r *Repo) CommitRaw(raw string) string {
	r.t.Helper()
	cmd := exec.Command("git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally")
	cmd.Dir, cmd.Stdin = r.Dir, strings.NewReader(raw)
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatal(err)
	}
	hash := strings.TrimSpace(string(out))
	// Git itself would not let a branch point at some of what tests make.
	if err := os.WriteFile(filepath.Join(r.Dir, ".git", "refs", "heads", "main"), []byte(hash+"\n"), 0o644); err != nil {
		r.t.Fatal(err)
	}
	return hash
}

// Raw is the bytes of a commit, without a signature.
func (r *Repo) Raw(rev string) string {
	r.t.Helper()
	cmd := exec.Command("git", "cat-file", "commit", rev)
	cmd.Dir = r.Dir
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatal(err)
	}
	return string(out)
}

// Signed puts a signature into the bytes of a commit.
func Signed(raw, signature string) string {
	head, message, _ := strings.Cut(raw, "\n\n")
	return head + "\ngpgsig " + strings.ReplaceAll(strings.TrimSpace(signature), "\n", "\n ") + "\n\n" + message
}

package sshsig_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"camfleet.dev/reconciler/source/internal/sshsig"
)

var at = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// lines are what may stand before a key, and whether the key then counts for git at that time.
var lines = []struct {
	before string
	counts bool
}{
	{`alice`, true},
	{`alice namespaces="git"`, true},
	{`alice namespaces="file,git"`, true},
	{`alice namespaces="g*"`, true},
	{`alice namespaces="g?t"`, true},
	{`alice NAMESPACES="git"`, true},
	{`alice namespaces="file"`, false},
	{`alice namespaces="gi"`, false},
	{`alice namespaces="git2"`, false},
	{`alice namespaces="*,!git"`, false},
	{`alice namespaces="!git,*"`, false},
	{`alice namespaces="!file,*"`, true},
	{`"alice,bob"`, true},
	{`bob,alice`, true},
	{`al*`, true},
	{`*`, true},
	{`alice valid-after="20260101"`, true},
	{`alice valid-after="20260615Z"`, true},
	{`alice valid-after="20260616Z"`, false},
	{`alice valid-after="202606151200Z"`, true},
	{`alice valid-after="202606151201Z"`, false},
	{`alice valid-after="20260615120001Z"`, false},
	{`alice valid-before="20270101"`, true},
	{`alice valid-before="20260614Z"`, false},
	{`alice valid-before="20260615115959Z"`, false},
	{`alice valid-before="20260615120001Z"`, true},
	{`alice namespaces="git",valid-after="20260101",valid-before="20270101"`, true},
	{`alice valid-after="20270101",valid-before="20260101"`, false},
	{`alice namespaces=git`, false},
	{`alice namespaces=""`, false},
	{`alice namespaces="git`, false},
	{`alice namespaces="git",namespaces="file"`, false},
	{`alice valid-before="tomorrow"`, false},
	{`alice valid-before="2026"`, false},
	{`alice valid-before="20261301"`, false},
	{`alice no-such-option`, false},
	{`alice ssh-no-such-option`, false},
	{`alice cert-authority`, false},
	{`alice cert-authority,namespaces="git"`, false},
	{`# alice`, false},
	{`   alice`, true},
}

// counts is what our reading of a file says of a signature.
func counts(content string, key ssh.PublicKey) error {
	all, err := sshsig.ParseAllowed([]byte(content), time.UTC)
	if err != nil {
		return err
	}
	err = errors.Join(append(all.Ignored, errors.New("not listed"))...)
	for _, s := range all.Of(key) {
		if err = s.Permits("git", at); err == nil {
			return nil
		}
	}
	return err
}

// Every line means to us what it means to ssh-keygen; where it does not, we are the stricter one.
func TestAllowedAsOpenSSH(t *testing.T) {
	t.Parallel()
	needKeygen(t)
	dir := t.TempDir()
	if err := keygen(t, dir, "", "-q", "-N", "", "-t", "ed25519", "-f", "key"); err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(dir, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(public)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "message"), []byte(message), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := keygen(t, dir, "", "-Y", "sign", "-n", "git", "-f", "key", "message"); err != nil {
		t.Fatal(err)
	}
	for i, c := range lines {
		content := c.before + " " + string(public)
		file := filepath.Join(dir, fmt.Sprint("allowed", i))
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		ours := counts(content, key)
		theirs := keygen(t, dir, message, "-Y", "verify", "-I", "alice", "-n", "git", "-s", "message.sig", "-f", file,
			"-Overify-time="+at.Format("20060102150405")+"Z")
		if (ours == nil) != c.counts {
			t.Errorf("%s: %v", c.before, ours)
		}
		if ours == nil && theirs != nil {
			t.Errorf("%s: it counts for us, and not for ssh-keygen: %v", c.before, theirs)
		}
		if ours != nil && theirs == nil {
			t.Logf("stricter than ssh-keygen: %s: %v", c.before, ours)
		}
	}
}

func TestAllowedTellsLines(t *testing.T) {
	t.Parallel()
	key := string(ssh.MarshalAuthorizedKey(ed25519Signer(t).PublicKey()))
	short := string(ssh.MarshalAuthorizedKey(rsaSigner(t, 1024).PublicKey()))
	all, err := sshsig.ParseAllowed([]byte("# who may\r\n\n"+
		"alice@example.org "+strings.TrimSpace(key)+" her laptop\r\n"+
		"ca@example.org cert-authority "+key+
		"bob@example.org "+short+
		"carol@example.org\n"+
		"dave@example.org no-touch "+key+
		"* "+key), nil)
	if err != nil || len(all.Signers) != 2 || all.Signers[0].Line != 3 || all.Signers[0].Name() != "alice@example.org" || all.Signers[1].Name() != "" {
		t.Fatalf("%+v, %v", all, err)
	}
	got := errors.Join(all.Ignored...).Error()
	for _, want := range []string{"line 4: cert-authority is not supported: list each signer's own key", "line 5: an RSA key of 1024 bits",
		"line 6: it holds no key", `line 7: option "no-touch" is not known`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if _, err := sshsig.ParseAllowed(make([]byte, 2<<20), nil); err == nil {
		t.Error("2 MiB were read")
	}
}

func FuzzAllowed(f *testing.F) {
	key := ed25519Signer(f).PublicKey()
	listed := string(ssh.MarshalAuthorizedKey(key))
	for _, c := range lines {
		f.Add(c.before, " \n")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		all, err := sshsig.ParseAllowed([]byte(before+" "+listed+after), time.UTC)
		if err != nil {
			return
		}
		for _, s := range all.Signers {
			if s.Line == 0 || s.Key == nil || s.Principals == "" {
				t.Errorf("%+v", s)
			}
			_ = s.Permits("git", at)
		}
		if n := strings.Count(before+after, "\n") + 2; len(all.Signers)+len(all.Ignored) > n {
			t.Errorf("%d lines give %d signers and %d errors", n, len(all.Signers), len(all.Ignored))
		}
	})
}

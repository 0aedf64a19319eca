package source

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"camfleet.dev/reconciler/source/internal/sshsig"
)

// namespace is what git has its signatures made for.
const namespace = "git"

// signers is the list of allowed signers, as the file was when it was read.
type signers struct {
	file    string
	version string // of the content; "" when no signatures are asked for
	allowed sshsig.Allowed
}

// readSigners reads the list anew: a key that was taken out counts no more
// from the next fetch on.
func readSigners(file string) (signers, error) {
	if file == "" {
		return signers{}, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return signers{}, fmt.Errorf("reading the allowed signers; no commit is accepted without: %w", err)
	}
	sum := sha256.Sum256(content)
	s := signers{file: file, version: string(sum[:])}
	if s.allowed, err = sshsig.ParseAllowed(content, time.Local); err != nil {
		return signers{}, fmt.Errorf("reading %s; no commit is accepted without: %w", file, err)
	}
	if len(s.allowed.Signers) == 0 { // the commits are not to blame
		return signers{}, fmt.Errorf("no commit is accepted, because %s lists nobody whose signature counts%s: write NAME ssh-ed25519 AAAA… into it", file, s.ignored())
	}
	return s, nil
}

// verify says who signed a commit, or why that is not known.
//
// What counts is that the commit itself, the newest one, is signed: it names
// everything that is in it, so that the commits before it need no signature.
// valid-after and valid-before are held against the committer's time, as git
// does it. That time is part of what is signed, so that nobody else can change it;
// but whoever has the key can write any time, also one in the past. So an
// expiry ends the use of a key by its owner; it does not stop a thief. A key that may be
// in other hands has to be taken out of the file.
func (s signers) verify(c *commit) (string, error) {
	if s.file == "" {
		return "", nil
	}
	if err := unsupported(c); err != nil {
		return "", err
	}
	sig, err := sshsig.Parse(c.signature)
	if err == nil {
		err = sig.Usable()
	}
	if err != nil {
		return "", &UnverifiedError{Cause: BadSignature, Why: err.Error()}
	}
	of := s.allowed.Of(sig.Key)
	if len(of) == 0 {
		return "", &UnverifiedError{Cause: UnknownKey, Why: fmt.Sprintf("it is signed with the key %s, which %s does not list%s",
			sig.Fingerprint(), s.file, s.ignored())}
	}
	if sig.Namespace != namespace {
		return "", &UnverifiedError{Cause: WrongNamespace, Why: fmt.Sprintf("its signature was made for %q, not for %q", sig.Namespace, namespace)}
	}
	if err := sig.Verify(c.signed); err != nil {
		return "", &UnverifiedError{Cause: Altered, Why: fmt.Sprintf("it is not what was signed with the key %s: its content was changed, or its signature", sig.Fingerprint())}
	}
	return permitted(of, sig.Key, c.time)
}

// permitted finds a line that lets the key sign a commit of that time.
func permitted(of []sshsig.Signer, key ssh.PublicKey, at time.Time) (string, error) {
	refused := &UnverifiedError{}
	for _, line := range of {
		err := line.Permits(namespace, at)
		if err == nil {
			return strings.TrimSpace(line.Name() + " " + ssh.FingerprintSHA256(key)), nil
		}
		refused.Cause = WrongNamespace
		if errors.Is(err, sshsig.ErrTime) {
			refused.Cause = Expired
		}
		refused.Why = fmt.Sprintf("it is signed with the key %s of %s: %s", ssh.FingerprintSHA256(key), line.Principals, err)
	}
	return "", refused
}

// maxIgnored is how many lines that are not understood a message names.
const maxIgnored = 3

// ignored says which lines could have listed the key, were they understood.
func (s signers) ignored() string {
	var b strings.Builder
	for i, err := range s.allowed.Ignored {
		if i == maxIgnored {
			b.WriteString("; …")
			break
		}
		fmt.Fprintf(&b, "; %s", err)
	}
	return b.String()
}

// howToSign is the way out of a commit that is not signed as it should be.
const howToSign = "sign one on top of it: git config gpg.format ssh, git config user.signingkey ~/.ssh/id_ed25519.pub, git commit -S --allow-empty, and push"

// unsupported tells signatures of other kinds apart from none.
func unsupported(c *commit) error {
	first, _, _ := bytes.Cut(c.signature, []byte("\n"))
	kind := "a signature that is not SSH's"
	switch {
	case c.signature == nil:
		return &UnverifiedError{Cause: Unsigned, Why: "it is not signed; " + howToSign}
	case string(bytes.TrimSpace(first)) == sshsig.Begin:
		return nil
	case bytes.Contains(first, []byte("BEGIN PGP")) && strings.HasSuffix(c.committer, "<noreply@github.com>"):
		kind = "GitHub's own PGP key, because it was made on its pages (a merge, a squash or an edit)"
	case bytes.Contains(first, []byte("BEGIN PGP")):
		kind = "PGP"
	case bytes.Contains(first, []byte("BEGIN SIGNED MESSAGE")), bytes.Contains(first, []byte("BEGIN CMS")), bytes.Contains(first, []byte("BEGIN PKCS7")):
		kind = "an X.509 certificate"
	}
	return &UnverifiedError{Cause: Unsupported, Why: "it is signed with " + kind + "; only SSH keys are supported; " + howToSign}
}

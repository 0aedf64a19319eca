package source

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	plainCommit = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n" +
		"author A <a@b> 1 +0000\ncommitter Åsa <a@b> 1700000000 +0100\n"
	signedHeader = "gpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lH\n -----END SSH SIGNATURE-----\n"
)

// FuzzCommit: what a signature is of is everything but the signature, byte for
// byte, and nothing panics.
func FuzzCommit(f *testing.F) {
	f.Add([]byte(plainCommit + "\nsubject\n\nbody\n"))
	f.Add([]byte(plainCommit + signedHeader + "\nsubject\n"))
	f.Add([]byte(plainCommit + signedHeader + signedHeader + "\n"))
	f.Add([]byte(plainCommit + "mergetag object x\n " + signedHeader + "encoding latin1\n\n\xff"))
	f.Add([]byte(plainCommit))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := parseCommit(raw)
		if err != nil {
			return
		}
		if !bytes.Equal(join(c), raw) && c.signature == nil {
			t.Errorf("without a signature %q is of %q", raw, c.signed)
		}
		if len(c.signed)+len(c.signature) > len(raw) || !bytes.HasPrefix(c.signed, []byte("tree "+c.tree.String()+"\n")) && len(c.signed) > 46 {
			t.Errorf("%q: of %q", raw, c.signed)
		}
		if !utf8.ValidString(c.subject) || strings.ContainsAny(c.subject, "\n\r\x1b") {
			t.Errorf("subject %q", c.subject)
		}
		// Read again, the rest is the same commit, and unsigned.
		again, err := parseCommit(c.signed)
		if err != nil || again.signature != nil || again.tree != c.tree || !again.time.Equal(c.time) || !bytes.Equal(again.signed, c.signed) {
			t.Errorf("%q: %+v, %v", raw, again, err)
		}
		if _, err := (signers{file: "x"}).verify(c); err == nil {
			t.Errorf("%q is signed by nobody, and accepted", raw)
		}
	})
}

func join(c *commit) []byte { return append(bytes.Clone(c.signed), c.signature...) }

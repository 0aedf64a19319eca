package source_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/source/sourcetest"
)

// allow writes a list of allowed signers.
func allow(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "allowed_signers")
	rewrite(t, file, lines...)
	return file
}

func rewrite(t *testing.T, file string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantHeld wants the newest commit to be held for a cause, with words that say why.
func wantHeld(t *testing.T, s *source.Source, have string, cause source.Cause, words ...string) {
	t.Helper()
	c, err := s.Fetch(t.Context(), have)
	var held *source.UnverifiedError
	if !errors.As(err, &held) || held.Cause != cause || len(held.Commit) != 40 {
		t.Fatalf("got %+v and %v, want it to be held: %s", c, err, cause)
	}
	for _, w := range append(words, held.Commit[:12], "is held") {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// Real commits by git commit -S, with each kind of key.
func TestSignedCommits(t *testing.T) {
	t.Parallel()
	for _, kind := range [][]string{{"ed25519"}, {"ecdsa", "-b", "256"}, {"ecdsa", "-b", "521"}, {"rsa", "-b", "3072"}} {
		t.Run(strings.Join(kind, " "), func(t *testing.T) {
			t.Parallel()
			key := sourcetest.NewKey(t, kind...)
			repo := sourcetest.NewRepo(t)
			repo.Commit("fleet.cue", "1") // only the newest has to be signed
			repo.SignWith(key)
			hash := repo.Commit("fleet.cue", "2")
			_, url := serve(t, repo)
			file := allow(t, "# who may", `alice@example.org namespaces="git" `+key.Public()+" laptop")
			for _, from := range []string{repo.Dir, url} {
				c := fetch(t, newSource(t, source.Config{URL: from, AllowedSigners: file}), "")
				if c.Hash != hash || c.Signer != "alice@example.org "+key.Fingerprint() {
					t.Errorf("%s is signed by %q", c.Hash, c.Signer)
				}
			}
			if c := fetch(t, newSource(t, source.Config{URL: repo.Dir, AllowedSigners: allow(t, "* "+key.Public())}), ""); c.Signer != key.Fingerprint() {
				t.Errorf("signed by %q", c.Signer)
			}
			if c := fetch(t, newSource(t, source.Config{URL: repo.Dir}), ""); c.Signer != "" {
				t.Errorf("nobody asked, and it is signed by %q", c.Signer)
			}
		})
	}
}

func TestHeldCommits(t *testing.T) {
	t.Parallel()
	key, other := sourcetest.NewKey(t, "ed25519"), sourcetest.NewKey(t, "ed25519")
	repo := sourcetest.NewRepo(t)
	repo.Commit("fleet.cue", "1")
	plain := repo.Raw("HEAD")
	hidden := repo.Commit("fleet.cue", "2")
	signed := sourcetest.Signed(plain, key.Sign("git", plain))
	tree := plain[:len("tree ")+40+1]
	github := strings.ReplaceAll(plain, "Test <test@camfleet.dev>", "GitHub <noreply@github.com>")
	pgp := "-----BEGIN PGP SIGNATURE-----\n\nwsBc\n=abcd\n-----END PGP SIGNATURE-----"
	dated := func(seconds string) string {
		i := strings.Index(plain, "committer ")
		end := i + strings.Index(plain[i:], "\n")
		raw := plain[:i] + "committer Test <test@camfleet.dev> " + seconds + " +0100" + plain[end:]
		return sourcetest.Signed(raw, key.Sign("git", raw))
	}
	const in2020, in2030 = "1600000000", "1900000000"
	listed := "alice " + key.Public()
	for _, c := range []struct {
		name, raw, list string
		cause           source.Cause
		words           string
	}{
		{"signed", signed, listed, "", ""},
		{"unsigned", plain, listed, source.Unsigned, "it is not signed; sign one on top of it: git config gpg.format ssh"},
		{"unknown key", signed, "bob " + other.Public(), source.UnknownKey, key.Fingerprint() + ", which "},
		{"a line that is not understood", signed, "alice cert-authority " + key.Public() + "\nbob " + other.Public(), source.UnknownKey, "line 1: cert-authority is not supported"},
		{"wrong namespace", sourcetest.Signed(plain, key.Sign("file", plain)), listed, source.WrongNamespace, `made for "file"`},
		{"key for something else", signed, `alice namespaces="file" ` + key.Public(), source.WrongNamespace, "listed for file only"},
		{"second line allows it", signed, `alice namespaces="file" ` + key.Public() + "\n" + listed, "", ""},
		{"PGP", sourcetest.Signed(plain, pgp), listed, source.Unsupported, "signed with PGP; only SSH keys"},
		{"GitHub's web flow", sourcetest.Signed(github, pgp), listed, source.Unsupported, "made on its pages (a merge, a squash or an edit); only SSH"},
		{"X.509", sourcetest.Signed(plain, "-----BEGIN SIGNED MESSAGE-----\nMIIE\n-----END SIGNED MESSAGE-----"), listed, source.Unsupported, "X.509"},
		{"something else", sourcetest.Signed(plain, "hello"), listed, source.Unsupported, "not SSH's"},
		{"damaged", strings.Replace(signed, "U1NIU0lH", "U1NIU0lI", 1), listed, source.BadSignature, "damaged"},
		{"cut off", strings.Replace(signed, "\n -----END SSH SIGNATURE-----", "", 1), listed, source.BadSignature, "cut off"},
		{"other message", signed + "more\n", listed, source.Altered, "its content was changed"},
		{"other tree", strings.Replace(signed, tree, repo.Raw(hidden)[:len(tree)], 1), listed, source.Altered, "changed"},
		{"other date", strings.Replace(signed, "committer Test <test@camfleet.dev> 1", "committer Test <test@camfleet.dev> 2", 1), listed, source.Altered, "changed"},
		{"one more header", strings.Replace(signed, "\ngpgsig", "\nx y\ngpgsig", 1), listed, source.Altered, "changed"},
		{"expired", dated(in2030), `alice valid-before="20290101Z" ` + key.Public(), source.Expired, "it was valid until 2029-01-01 00:00:00 UTC"},
		{"not yet valid", dated(in2020), `alice valid-after="20260101Z" ` + key.Public(), source.Expired, "valid from 2026-01-01 00:00:00 UTC on, and the commit is dated 2020-09-13"},
		{"valid then", dated(in2020), `alice valid-before="20210101Z" ` + key.Public(), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			mine := clone(t, repo)
			mine.CommitRaw(c.raw)
			s := newSource(t, source.Config{URL: mine.Dir, AllowedSigners: allow(t, c.list)})
			if c.cause == "" {
				fetch(t, s, "")
				return
			}
			wantHeld(t, s, "", c.cause, c.words)
		})
	}
}

// A list without anybody in it is at fault, and not the commits: they are good
// once it is mended.
func TestListOfNobody(t *testing.T) {
	t.Parallel()
	key := sourcetest.NewKey(t, "ed25519")
	repo := sourcetest.NewRepo(t)
	repo.SignWith(key)
	hash := repo.Commit("fleet.cue", "1")
	for name, c := range map[string]struct{ list, words string }{
		"empty":       {"", "lists nobody"},
		"comments":    {"# nobody yet\n\n", "lists nobody"},
		"garbage":     {"\x00\xff\xfe<html>", "line 1: "},
		"another key": {"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "line 1: "},
		"authorities": {"alice cert-authority " + key.Public(), "line 1: cert-authority is not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			file := allow(t, c.list)
			s := newSource(t, source.Config{URL: repo.Dir, AllowedSigners: file})
			for _, f := range []func() (*source.Commit, error){
				func() (*source.Commit, error) { return s.Fetch(t.Context(), "") },
				func() (*source.Commit, error) { return s.FetchCommit(t.Context(), hash) },
			} {
				got, err := f()
				var held *source.UnverifiedError
				if got != nil || err == nil || errors.As(err, &held) || !strings.Contains(err.Error(), file+" lists nobody") || !strings.Contains(err.Error(), c.words) {
					t.Fatalf("%v, %v", got, err)
				}
			}
			rewrite(t, file, "alice "+key.Public())
			fetch(t, s, "")
		})
	}
}

// clone copies a repository, to do something bad to the copy.
func clone(t *testing.T, repo *sourcetest.Repo) *sourcetest.Repo {
	t.Helper()
	mine := sourcetest.NewRepo(t)
	mine.Git("fetch", "-q", repo.Dir, "main:other")
	return mine
}

// Commits that two readers could read in two ways.
func TestAmbiguousCommits(t *testing.T) {
	t.Parallel()
	key := sourcetest.NewKey(t, "ed25519")
	repo := sourcetest.NewRepo(t)
	repo.Commit("fleet.cue", "1")
	other := repo.Raw("HEAD")[:len("tree ")+40+1]
	repo.Commit("fleet.cue", "2")
	plain := repo.Raw("HEAD")
	signed := sourcetest.Signed(plain, key.Sign("git", plain))
	sig := strings.TrimSpace(key.Sign("git", plain))
	file := allow(t, "alice "+key.Public())
	for _, c := range []struct{ name, raw, words string }{
		{"two trees", other + plain, "its one tree"},
		{"tree at the end", strings.Replace(plain, "\n\n", "\n"+other+"\n", 1), "its one tree"},
		{"no tree", plain[len(other):], "its one tree"},
		{"no hash", "tree x" + plain[6:], "not a hash"},
		{"two signatures", sourcetest.Signed(signed, sig), "more than one signature"},
		{"a signature of the other hash", strings.Replace(signed, "\ngpgsig ", "\ngpgsig-sha256 x\ngpgsig ", 1), "SHA-256"},
		{"two committers", strings.Replace(plain, "\ncommitter", "\ncommitter A <a@b> 1 +0000\ncommitter", 1), "more than one committer"},
		{"no committer", strings.Replace(plain, "\ncommitter", "\nx", 1), "no committer"},
		{"no time", strings.Replace(plain, "\ncommitter", "\ncommitter A <a@b>\nx", 1), "not a time"},
		{"a time after all times", strings.Replace(plain, "\ncommitter", "\ncommitter A <a@b> 999999999999 +0000\nx", 1), "not a time"},
		{"a time before all times", strings.Replace(plain, "\ncommitter", "\ncommitter A <a@b> -5 +0000\nx", 1), "not a time"},
		{"no address", strings.Replace(plain, "\ncommitter", "\ncommitter A\nx", 1), "not written as git writes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mine := clone(t, repo)
			mine.CommitRaw(c.raw)
			for _, signers := range []string{"", file} {
				_, err := newSource(t, source.Config{URL: mine.Dir, AllowedSigners: signers}).Fetch(t.Context(), "")
				if err == nil || !strings.Contains(err.Error(), c.words) {
					t.Errorf("error %v does not say %q", err, c.words)
				}
			}
		})
	}
}

// A held commit is not fetched again and again, and the list is read anew.
func TestHeldIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	alice, bob := sourcetest.NewKey(t, "ed25519"), sourcetest.NewKey(t, "ed25519")
	repo := sourcetest.NewRepo(t)
	repo.SignWith(alice)
	first := repo.Commit("fleet.cue", "1")
	server, url := serve(t, repo)
	file := allow(t, "alice "+alice.Public())
	s := newSource(t, source.Config{URL: url, AllowedSigners: file})
	fetch(t, s, "")

	repo.SignWith(bob)
	second := repo.Commit("fleet.cue", "2")
	for range 5 {
		wantHeld(t, s, first, source.UnknownKey, bob.Fingerprint())
	}
	if n := server.Fetches.Load(); n != 2 {
		t.Errorf("%d fetches for one good and one held commit", n)
	}
	rewrite(t, file, "alice "+alice.Public(), "bob "+bob.Public())
	if c := fetch(t, s, first); c.Hash != second || !strings.HasPrefix(c.Signer, "bob SHA256:") {
		t.Errorf("%+v", c)
	}
	if fetch(t, s, second) != nil {
		t.Error("the same commit twice")
	}
	// Bob leaves: what he signed last is not taken back, and not silently kept either.
	rewrite(t, file, "alice "+alice.Public())
	wantHeld(t, s, second, source.UnknownKey, bob.Fingerprint())
	rewrite(t, file, "alice "+alice.Public(), "bob "+bob.Public(), "# back")
	if fetch(t, s, second) != nil {
		t.Error("the same commit twice")
	}
	requests := server.Fetches.Load()
	if fetch(t, s, second) != nil || server.Fetches.Load() != requests || requests != 3 {
		t.Errorf("%d fetches", server.Fetches.Load())
	}
	// No list, no commit: not even one that is known.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if c, err := s.Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "no commit is accepted without") {
		t.Errorf("%v, %v", c, err)
	}
	rewrite(t, file, "bob "+bob.Public())
	if c := fetch(t, s, ""); c.Hash != second {
		t.Errorf("%+v", c)
	}
}

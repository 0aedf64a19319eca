// Package source reads a fleet from a Git repository: the newest commit of a
// branch, as an fs.FS in memory. It never writes a work tree and never runs git.
//
//	path, file://, https://, ssh://  ─►  newest commit  ─►  Commit{Hash, FS}
package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"camfleet.dev/reconciler/internal/memfs"
)

// Config says where the fleet's repository is and how to read it.
type Config struct {
	// URL is a folder, file://…, https://… or ssh://…; it holds no password.
	URL string
	// Branch is the branch to follow; empty means the repository's HEAD.
	Branch string
	// Path is the folder of the fleet inside the repository; empty is its root.
	Path string
	// TokenFile holds the password or token for https://. It is read at every
	// fetch, so that a rotated token is taken up.
	TokenFile string
	// KeyFile and KnownHosts are the private key and the host keys for ssh://.
	// Both are required there: an unknown host is never trusted.
	KeyFile    string
	KnownHosts string
	// AllowedSigners is a file in ssh-keygen's allowed_signers format, read
	// anew at every fetch. With it, a commit counts only when it is signed by
	// a key that is listed there; see ssh-keygen(1), ALLOWED SIGNERS.
	AllowedSigners string
	// Limits bounds what is read; the zero value means DefaultLimits.
	Limits Limits
}

// Limits bounds a commit. What is over them is refused with an error that says so.
type Limits struct {
	Files     int   // number of files and folders
	FileBytes int64 // one file; a larger one can be listed but not read
	Bytes     int64 // all files together, and a pack from a remote
}

// DefaultLimits are far over what 10,000 cameras need (about 5 MB).
func DefaultLimits() Limits {
	return Limits{Files: 20_000, FileBytes: 1 << 20, Bytes: 64 << 20}
}

// Commit is one commit of the fleet's repository.
type Commit struct {
	Hash    string
	Time    time.Time // the committer's clock
	Subject string    // first line of the message
	// Signer is whose key signed it, and the key's fingerprint; "" when
	// nobody asked for a signature.
	Signer string
	FS     fs.FS // its files, immutable, independent of the repository
}

// Source follows one branch of one repository. One goroutine at a time uses it.
type Source struct {
	cfg    Config
	origin origin
	last   last
	held   held
}

// last is the newest commit that was read. What did not change since is
// neither fetched nor unpacked again.
type last struct {
	hash     plumbing.Hash
	objects  fetched
	verified string // signers.version of then
}

// held is a commit that is refused, so that it is not fetched at every poll.
type held struct {
	hash    plumbing.Hash
	version string // signers.version of then
	err     error
}

// origin is where commits come from: a folder, or a remote.
type origin interface {
	connect(ctx context.Context) (connection, error)
}

// connection is an origin at one moment.
type connection interface {
	// head is the newest commit's hash.
	head() (plumbing.Hash, error)
	// fetch gives access to the objects of a commit. Those that are in base,
	// too, may be missing; base may be empty.
	fetch(ctx context.Context, hash plumbing.Hash, base last) (objects, error)
	close()
}

// New checks cfg. It does not touch the repository: one that is not there yet
// is an error of Fetch, and may be there at the next one.
func New(cfg Config) (*Source, error) {
	if cfg.Limits == (Limits{}) {
		cfg.Limits = DefaultLimits()
	}
	if cfg.Path != "" && !fs.ValidPath(cfg.Path) {
		return nil, fmt.Errorf("path %q inside the repository: write it without a leading slash and without .. in it", cfg.Path)
	}
	o, err := newOrigin(cfg)
	if err != nil {
		return nil, err
	}
	return &Source{cfg: cfg, origin: o}, nil
}

// String is the repository's address, as it may be shown to anybody.
func (s *Source) String() string { return s.cfg.URL }

// Fetch returns the branch's newest commit, or nil when that is still the
// commit have ("" for none). A force-push is followed like any other.
//
// A commit that is refused (RefusedError) or held because of its signature
// (UnverifiedError) is an error at every call, until there is another one or,
// for signatures, another list of allowed signers. That goes for have, too:
// when the key that signed it is taken out of the list, the error says so.
func (s *Source) Fetch(ctx context.Context, have string) (*Commit, error) {
	conn, err := s.origin.connect(ctx)
	if err != nil {
		return nil, s.errorf(err)
	}
	defer conn.close()
	hash, err := conn.head()
	if err != nil {
		return nil, s.errorf(err)
	}
	allowed, err := readSigners(s.cfg.AllowedSigners)
	if err != nil {
		return nil, s.errorf(err)
	}
	if s.held.hash == hash && s.held.version == allowed.version {
		return nil, s.held.err
	}
	if hash.String() == have && (allowed.version == "" || s.last.hash == hash && s.last.verified == allowed.version) {
		return nil, nil
	}
	c, err := s.read(ctx, conn, hash, allowed)
	if refused(err) {
		s.held = held{hash, allowed.version, err}
	}
	if err != nil || c.Hash == have {
		return nil, err
	}
	return c, nil
}

// FetchCommit returns a commit by its whole hash, whether a branch points at
// it or not: a folder has it until git gc takes it away; a server has to allow
// it (GitHub and GitLab do, and every git http-backend for what a branch
// contains; over ssh, git wants uploadpack.allowReachableSHA1InWant). Its signature is verified like
// that of a newest commit.
func (s *Source) FetchCommit(ctx context.Context, hash string) (*Commit, error) {
	if !plumbing.IsHash(hash) {
		return nil, s.errorf(fmt.Errorf("commit %q: that is not a whole hash", hash))
	}
	allowed, err := readSigners(s.cfg.AllowedSigners)
	if err != nil {
		return nil, s.errorf(err)
	}
	conn, err := s.origin.connect(ctx)
	if err != nil {
		return nil, s.errorf(err)
	}
	defer conn.close()
	return s.read(ctx, conn, plumbing.NewHash(hash), allowed)
}

// read reads a commit with all its files.
func (s *Source) read(ctx context.Context, conn connection, hash plumbing.Hash, allowed signers) (*Commit, error) {
	c, err := s.readOver(ctx, conn, hash, allowed)
	if errors.Is(err, errMissing) && len(s.last.objects) > 0 {
		// The server left out what is in the last commit, and we did not keep
		// all of that (files outside of --path, for one). Once more, in full.
		s.last = last{}
		again, err := s.origin.connect(ctx)
		if err != nil {
			return nil, s.errorf(err)
		}
		defer again.close()
		c, err = s.readOver(ctx, again, hash, allowed)
		return c, s.errorAt(hash, err)
	}
	return c, s.errorAt(hash, err)
}

func (s *Source) readOver(ctx context.Context, conn connection, hash plumbing.Hash, allowed signers) (*Commit, error) {
	from := objects(s.last.objects)
	if s.last.hash != hash {
		moved, err := conn.fetch(ctx, hash, s.last)
		if err != nil {
			return nil, err
		}
		from = layered{s.last.objects, moved}
	}
	raw, err := from.object(hash, plumbing.CommitObject, maxCommit)
	if err != nil {
		return nil, err
	}
	if raw.Data == nil {
		return nil, refuse(fmt.Sprintf("its message is larger than %d bytes", maxCommit))
	}
	c, err := parseCommit(raw.Data)
	if err != nil {
		return nil, refuse(err.Error())
	}
	signer, err := allowed.verify(c)
	if err != nil {
		return nil, err
	}
	r := &reader{objects: from, limits: s.cfg.Limits, fs: memfs.New(), kept: fetched{hash: raw}}
	root, err := r.find(c.tree, s.cfg.Path)
	if err != nil {
		return nil, err
	}
	if err := r.read(ctx, root); err != nil {
		return nil, err
	}
	s.last = last{hash, r.kept, allowed.version}
	return &Commit{Hash: hash.String(), Time: c.time, Subject: c.subject, Signer: signer, FS: r.fs}, nil
}

// refused says whether only another commit, or another list of signers, helps.
func refused(err error) bool {
	var files *RefusedError
	var signature *UnverifiedError
	return errors.As(err, &files) || errors.As(err, &signature)
}

// errorAt says which commit an error is about.
func (s *Source) errorAt(hash plumbing.Hash, err error) error {
	if err == nil {
		return nil
	}
	var files *RefusedError
	var signature *UnverifiedError
	switch {
	case errors.As(err, &files):
		files.Commit = hash.String()
	case errors.As(err, &signature):
		signature.Commit = hash.String()
	}
	return s.errorf(fmt.Errorf("commit %.12s: %w", hash, err))
}

// errorf says which repository an error is about, and keeps cancellation visible.
func (s *Source) errorf(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("repository %s: %w", s, err)
}

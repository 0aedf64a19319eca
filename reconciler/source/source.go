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
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
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
	FS      fs.FS     // its files, immutable, independent of the repository
}

// Source follows one branch of one repository. One goroutine uses it.
type Source struct {
	cfg    Config
	origin origin
}

// origin is where commits come from: a folder, or a remote.
type origin interface {
	// head is the newest commit's hash: for a remote, one ls-remote.
	head(ctx context.Context) (plumbing.Hash, error)
	// open gives access to the objects of that commit.
	open(ctx context.Context, hash plumbing.Hash) (storer.EncodedObjectStorer, error)
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
func (s *Source) Fetch(ctx context.Context, have string) (*Commit, error) {
	hash, err := s.origin.head(ctx)
	if err != nil {
		return nil, s.errorf(err)
	}
	if hash.String() == have {
		return nil, nil
	}
	objects, err := s.origin.open(ctx, hash)
	if err != nil {
		return nil, s.errorf(err)
	}
	commit, err := object.GetCommit(objects, hash)
	if err != nil {
		return nil, s.errorf(fmt.Errorf("reading commit %s: %w", hash, err))
	}
	files, err := s.files(ctx, commit)
	if err != nil {
		return nil, s.errorf(fmt.Errorf("commit %.12s: %w", hash, err))
	}
	return &Commit{Hash: hash.String(), Time: commit.Committer.When.UTC(), Subject: subject(commit.Message), FS: files}, nil
}

func (s *Source) files(ctx context.Context, commit *object.Commit) (fs.FS, error) {
	tree, err := commit.Tree()
	if err != nil {
		return nil, fmt.Errorf("reading its tree: %w", err)
	}
	if s.cfg.Path != "" && s.cfg.Path != "." {
		sub, err := tree.Tree(s.cfg.Path)
		if err != nil {
			return nil, fmt.Errorf("it has no folder %q: look at --path", s.cfg.Path)
		}
		tree = sub
	}
	return readTree(ctx, tree, s.cfg.Limits)
}

// errorf says which repository an error is about, and keeps cancellation visible.
func (s *Source) errorf(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("repository %s: %w", s, err)
}

func subject(message string) string {
	for i, r := range message {
		if r == '\n' {
			return message[:i]
		}
	}
	return message
}

package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
)

// folder is a repository on this machine, read in place: with or without a
// work tree, of which only what is committed counts.
type folder struct{ path, branch string }

func (f folder) repository() (*git.Repository, error) {
	repo, err := git.PlainOpenWithOptions(f.path, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		if _, err := os.Stat(f.path); errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("there is no such folder; it is looked for again")
		}
		return nil, errors.New("there is no Git repository; git init makes one, and for a folder inside one there is --path")
	} else if err != nil {
		return nil, fmt.Errorf("opening it: %w", err)
	}
	return repo, nil
}

// connect reads the repository anew: packs may have been rewritten since.
func (f folder) connect(ctx context.Context) (connection, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	repo, err := f.repository()
	if err != nil {
		return nil, err
	}
	return &opened{folder: f, repo: repo}, nil
}

// opened is a folder's repository at one moment.
type opened struct {
	folder
	repo *git.Repository
}

func (o *opened) head() (plumbing.Hash, error) {
	name := plumbing.HEAD
	if o.branch != "" {
		name = plumbing.NewBranchReferenceName(o.branch)
	}
	ref, err := o.repo.Reference(name, true)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return plumbing.ZeroHash, noBranch(o.branch, localBranches(o.repo))
	} else if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("reading %s: %w", name, err)
	}
	return ref.Hash(), nil
}

// fetch has nothing to move.
func (o *opened) fetch(context.Context, plumbing.Hash, last) (objects, error) {
	return stored{o.repo.Storer}, nil
}

func (o *opened) close() {}

func localBranches(repo *git.Repository) []string {
	var names []string
	if iter, err := repo.Branches(); err == nil {
		// An error here only shortens a hint.
		_ = iter.ForEach(func(r *plumbing.Reference) error {
			names = append(names, r.Name().Short())
			return nil
		})
	}
	return names
}

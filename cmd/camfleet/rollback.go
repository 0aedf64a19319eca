package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	gitobject "github.com/go-git/go-git/v5/plumbing/object"
	"github.com/spf13/cobra"
)

func (a *app) rollbackCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "rollback [DIR]",
		Short: "Print the git commands that take the fleet back",
		Long: `rollback prints the git commands that undo the newest commit of the repository in
DIR (default: this folder), or with --to all commits after that one. It changes
nothing and remembers nothing: Git is the history, and a revert is a commit like
any other, so that everybody sees who went back, and why.

Recordings are not part of it: they stay, whatever the fleet is taken back to.`,
		Example: "  camfleet rollback\n  camfleet rollback --to 3012626c447e",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			commits, err := since(folderArg(args), to)
			if err != nil {
				return err
			}
			fmt.Fprint(a.stdout, revert(commits))
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the commit to go back to (default: the one before the newest)")
	return cmd
}

// maxRollback keeps a name that is not in the branch from listing its whole history.
const maxRollback = 1000

// since are the commits of a repository's branch that come after one, the
// newest first, by first parents: a merge is one step.
func since(dir, to string) ([]*gitobject.Commit, error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, usage("%s is in no Git repository: rollback is for the repository that holds the fleet", dir)
	} else if err != nil {
		return nil, fmt.Errorf("opening the repository of %s: %w", dir, err)
	}
	head, err := repo.Head()
	if err != nil {
		return nil, fmt.Errorf("reading the newest commit of %s: %w", dir, err)
	}
	end, err := target(repo, to)
	if err != nil {
		return nil, err
	}
	if end == head.Hash() {
		return nil, usage("--to %s is the newest commit: there is nothing to undo", to)
	}
	var out []*gitobject.Commit
	for hash := head.Hash(); hash != end && len(out) < maxRollback; {
		c, err := repo.CommitObject(hash)
		if err != nil {
			return nil, fmt.Errorf("reading commit %s: %w", hash, err)
		}
		if c.NumParents() == 0 {
			break
		}
		out = append(out, c)
		hash = c.ParentHashes[0]
		if to == "" || hash == end {
			return out, nil
		}
	}
	if to == "" {
		return nil, usage("the repository has one commit only: there is nothing to go back to")
	}
	return nil, usage("%s is not among the %d commits before the newest one: git log --first-parent lists them", to, maxRollback)
}

// target finds the commit that is gone back to.
func target(repo *git.Repository, to string) (plumbing.Hash, error) {
	if to == "" {
		return plumbing.ZeroHash, nil
	}
	hash, err := repo.ResolveRevision(plumbing.Revision(to))
	if errors.Is(err, plumbing.ErrReferenceNotFound) || errors.Is(err, io.EOF) { // EOF: HEAD~500 of ten commits
		err = errors.New("there is no such commit here: git fetch may bring it")
	}
	if err != nil {
		return plumbing.ZeroHash, usage("--to %s: %w", to, err)
	}
	return *hash, nil
}

// revert are the commands, as a person would type them.
func revert(commits []*gitobject.Commit) string {
	var b strings.Builder
	for _, c := range commits {
		subject, _, _ := strings.Cut(c.Message, "\n")
		fmt.Fprintf(&b, "# undoes %.12s of %s: %s\n", c.Hash, c.Committer.When.UTC().Format("2006-01-02 15:04 UTC"), printable(subject))
		merge := ""
		if c.NumParents() > 1 {
			merge = "-m 1 "
		}
		fmt.Fprintf(&b, "git revert --no-edit %s%s\n", merge, c.Hash)
	}
	b.WriteString("git push\n")
	return b.String()
}

// printable keeps a commit's message from being more than a comment of a script.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

package source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/go-git/go-billy/v5/memfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"github.com/go-git/go-git/v5/storage"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/memory"
)

// remote is a repository behind https:// or ssh://.
type remote struct {
	cfg Config
	url *url.URL
	ref plumbing.ReferenceName // of the last head
}

func (r *remote) git(s storage.Storer) *git.Remote {
	return git.NewRemote(s, &config.RemoteConfig{Name: "origin", URLs: []string{r.url.String()}})
}

// head is one ls-remote.
func (r *remote) head(ctx context.Context) (plumbing.Hash, error) {
	auth, err := r.auth()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	refs, err := r.git(memory.NewStorage()).ListContext(ctx, &git.ListOptions{Auth: auth})
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return plumbing.ZeroHash, noBranch(r.cfg.Branch, nil)
	} else if err != nil {
		return plumbing.ZeroHash, r.explain("asking for its branches", err)
	}
	return r.pick(refs)
}

// pick finds the branch in what the server listed, HEAD through its target.
func (r *remote) pick(refs []*plumbing.Reference) (plumbing.Hash, error) {
	want := plumbing.NewBranchReferenceName(r.cfg.Branch)
	byName := map[plumbing.ReferenceName]*plumbing.Reference{}
	var branches []string
	for _, ref := range refs {
		byName[ref.Name()] = ref
		if ref.Name().IsBranch() {
			branches = append(branches, ref.Name().Short())
		}
		if r.cfg.Branch == "" && ref.Name() == plumbing.HEAD {
			want = plumbing.HEAD
			if ref.Type() == plumbing.SymbolicReference {
				want = ref.Target()
			}
		}
	}
	ref, ok := byName[want]
	if !ok || ref.Type() != plumbing.HashReference {
		return plumbing.ZeroHash, noBranch(r.cfg.Branch, branches)
	}
	r.ref = want
	return ref.Hash(), nil
}

// open fetches that one commit into memory, as a pack of bounded size. History
// is not fetched: the newest commit is all that counts, so a rewritten history
// costs nothing.
func (r *remote) open(ctx context.Context, hash plumbing.Hash) (storer.EncodedObjectStorer, error) {
	auth, err := r.auth()
	if err != nil {
		return nil, err
	}
	disk := &limitedFS{Filesystem: memfs.New(), left: r.cfg.Limits.Bytes}
	store := filesystem.NewStorage(disk, cache.NewObjectLRUDefault())
	err = r.git(store).FetchContext(ctx, &git.FetchOptions{
		Auth: auth, Depth: 1, Tags: git.NoTags,
		RefSpecs: []config.RefSpec{config.RefSpec("+" + r.ref.String() + ":refs/heads/fleet")},
	})
	if disk.exceeded.Load() {
		return nil, fmt.Errorf("its newest commit is larger than %d bytes: a fleet's repository holds CUE files, keep the rest elsewhere", r.cfg.Limits.Bytes)
	}
	if err != nil && !errors.Is(err, git.NoErrAlreadyUpToDate) {
		return nil, r.explain("fetching", err)
	}
	if store.HasEncodedObject(hash) != nil {
		return nil, errors.New("the branch moved while it was fetched; the next poll reads it")
	}
	return store, nil
}

func (r *remote) auth() (transport.AuthMethod, error) {
	if r.url.Scheme == "ssh" {
		return r.sshAuth()
	}
	if r.cfg.TokenFile == "" {
		return nil, nil
	}
	token, err := os.ReadFile(r.cfg.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	// Hosts ask for some user name beside a token and do not look at it.
	return &http.BasicAuth{Username: "camfleet", Password: strings.TrimSpace(string(token))}, nil
}

func (r *remote) sshAuth() (transport.AuthMethod, error) {
	user := "git"
	if r.url.User != nil {
		user = r.url.User.Username()
	}
	keys, err := ssh.NewPublicKeysFromFile(user, r.cfg.KeyFile, "")
	if err != nil {
		return nil, fmt.Errorf("reading the ssh key %s (it must have no passphrase): %w", r.cfg.KeyFile, err)
	}
	keys.HostKeyCallback, err = ssh.NewKnownHostsCallback(r.cfg.KnownHosts)
	if err != nil {
		return nil, fmt.Errorf("reading known hosts: %w", err)
	}
	return keys, nil
}

// explain adds a way out to the errors that users meet.
func (r *remote) explain(doing string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired) && r.cfg.TokenFile == "":
		hint = "; it wants a token: give --token-file"
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		hint = "; the token is not accepted: check that it is valid and may read this repository"
	case errors.Is(err, transport.ErrRepositoryNotFound):
		hint = "; check the address, and that the token may read it"
	case strings.Contains(err.Error(), "knownhosts"):
		hint = "; the host's key is not the one in " + r.cfg.KnownHosts
	case strings.Contains(err.Error(), "unable to authenticate"):
		hint = "; the server does not accept the key " + r.cfg.KeyFile
	}
	return fmt.Errorf("%s: %w%s", doing, err, hint)
}

package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/ssh"

	"camfleet.dev/reconciler/source/internal/pack"
)

// remote is a repository behind https:// or ssh://.
type remote struct {
	cfg    Config
	url    *url.URL
	client transport.Transport
	// opening holds a mark for each connection that is being made: go-git lets
	// nobody give one up, and a server may take it and never speak.
	opening chan struct{}
}

// maxOpening bounds the connections to a server that takes them and is silent.
const maxOpening = 8

func newRemote(cfg Config, u *url.URL) *remote {
	if u.Scheme == "ssh" {
		return &remote{cfg, u, ssh.DefaultClient, make(chan struct{}, maxOpening)}
	}
	return &remote{cfg, u, http.NewClient(boundedClient(cfg.Limits.Bytes)), make(chan struct{}, maxOpening)}
}

// connect is one ls-remote; what is fetched then goes over the same session.
func (r *remote) connect(ctx context.Context) (connection, error) {
	auth, err := r.auth()
	if err != nil {
		return nil, err
	}
	endpoint, err := transport.NewEndpoint(r.url.String()) // each session may be redirected, for itself
	if err != nil {
		return nil, r.explain("reading its address", err)
	}
	up, err := r.open(ctx, endpoint, auth)
	if err != nil {
		return nil, r.explain("connecting", err)
	}
	s := &session{remote: r, up: up}
	s.listed, err = up.AdvertisedReferencesContext(ctx)
	if err == nil {
		return s, nil
	}
	s.close()
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return nil, noBranch(r.cfg.Branch, nil)
	}
	return nil, r.explain("asking for its branches", err)
}

// open begins a session, or gives up when ctx ends. What comes of it then is closed.
func (r *remote) open(ctx context.Context, endpoint *transport.Endpoint, auth transport.AuthMethod) (transport.UploadPackSession, error) {
	select {
	case r.opening <- struct{}{}:
	default:
		return nil, fmt.Errorf("%d connections to the server wait for its first word", maxOpening)
	}
	type result struct {
		up  transport.UploadPackSession
		err error
	}
	done := make(chan result, 1)
	late := func() { // closes what nobody takes
		select {
		case got := <-done:
			if got.err == nil {
				_ = got.up.Close() // there is nobody to tell
			}
		default:
		}
	}
	go func() {
		defer func() { <-r.opening }()
		up, err := r.client.NewUploadPackSession(endpoint, auth)
		if done <- (result{up, err}); ctx.Err() != nil {
			late()
		}
	}()
	select {
	case got := <-done:
		return got.up, got.err
	case <-ctx.Done():
		late()
		return nil, ctx.Err()
	}
}

// session is a conversation with a server.
type session struct {
	*remote
	up     transport.UploadPackSession
	listed *packp.AdvRefs
}

// close has nobody to tell of an error: the server may have hung up first.
func (s *session) close() { _ = s.up.Close() }

// head finds the branch in what the server listed, HEAD through its target.
func (s *session) head() (plumbing.Hash, error) {
	refs, err := s.listed.AllReferences()
	if err != nil {
		return plumbing.ZeroHash, s.explain("reading its branches", err)
	}
	want := plumbing.NewBranchReferenceName(s.cfg.Branch)
	if s.cfg.Branch == "" {
		want = plumbing.HEAD
		if h, ok := refs[want]; ok && h.Type() == plumbing.SymbolicReference {
			want = h.Target()
		}
	}
	ref, ok := refs[want]
	if !ok || ref.Type() != plumbing.HashReference {
		var branches []string
		for name := range refs {
			if name.IsBranch() {
				branches = append(branches, name.Short())
			}
		}
		return plumbing.ZeroHash, noBranch(s.cfg.Branch, branches)
	}
	return ref.Hash(), nil
}

// fetch fetches that one commit into memory, as a pack of bounded size; what
// is in the commit base, too, is not sent. History is not fetched: the newest
// commit is all that counts, so a rewritten history costs nothing.
func (s *session) fetch(ctx context.Context, hash plumbing.Hash, base last) (objects, error) {
	req := packp.NewUploadPackRequestFromCapabilities(s.listed.Capabilities)
	req.Wants = []plumbing.Hash{hash}
	if s.listed.Capabilities.Supports(capability.Shallow) {
		req.Depth = packp.DepthCommits(1)
		agree(req.Capabilities, capability.Shallow)
		if len(base.objects) > 0 {
			// Only of a thin pack does git leave out what is in a commit that a
			// shallow one does not follow from. go-git hides that every server
			// can make one, because its own reader cannot.
			agree(req.Capabilities, capability.ThinPack)
			req.Haves, req.Shallows = []plumbing.Hash{base.hash}, []plumbing.Hash{base.hash}
		}
	}
	answer, err := s.up.UploadPack(ctx, req)
	if err != nil {
		return nil, s.explain("fetching", err)
	}
	defer answer.Close()
	limit := s.cfg.Limits.Bytes
	data, err := io.ReadAll(io.LimitReader(demultiplex(req.Capabilities, answer), limit+1))
	if err != nil && !errors.Is(err, errTooLarge) {
		return nil, s.explain("fetching", err)
	}
	var got pack.Objects
	if int64(len(data)) > limit || err != nil {
		err = pack.ErrTooLarge
	} else {
		got, err = pack.Read(data, pack.Objects(base.objects), limit)
	}
	switch {
	case errors.Is(err, pack.ErrNoBase):
		return nil, fmt.Errorf("%w: %w", errMissing, err)
	case errors.Is(err, pack.ErrTooLarge):
		return nil, refuse(fmt.Sprintf("it is larger than %d bytes: a fleet's repository holds CUE files, keep the rest elsewhere", limit))
	case err != nil:
		return nil, s.explain("fetching", err)
	}
	return fetched(got), nil
}

// agree asks for a capability; one without an argument is never refused.
func agree(list *capability.List, c capability.Capability) { _ = list.Set(c) }

// demultiplex takes the pack out of what the server says beside it.
func demultiplex(agreed *capability.List, r io.Reader) io.Reader {
	switch {
	case agreed.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, r)
	case agreed.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, r)
	}
	return r
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
	text := err.Error()
	for _, known := range []error{transport.ErrAuthenticationRequired, transport.ErrAuthorizationFailed, transport.ErrRepositoryNotFound} {
		if errors.Is(err, known) {
			err = known // without the server's page about it
		}
	}
	hint := ""
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired) && r.cfg.TokenFile == "":
		hint = "; it wants a token: give --token-file"
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		hint = "; the token is not accepted: check that it is valid and may read this repository"
	case errors.Is(err, transport.ErrRepositoryNotFound):
		hint = "; check the address, and that the token may read it"
	case errors.Is(err, context.DeadlineExceeded):
		err = errSilent
	case errors.Is(err, errTooLarge):
		hint = fmt.Sprintf("; its branches and tags are more than %d bytes, or it is no Git server", maxListing)
	case strings.Contains(text, "knownhosts"):
		hint = "; the host's key is not the one in " + r.cfg.KnownHosts
	case strings.Contains(text, "unable to authenticate"):
		hint = "; the server does not accept the key " + r.cfg.KeyFile
	case strings.Contains(text, "not our ref"),
		strings.HasPrefix(text, "sending ") && strings.HasSuffix(text, "EOF"): // it hung up on hearing what we want
		err = errNotOurRef
	}
	return fmt.Errorf("%s: %w%s", doing, err, hint)
}

// errSilent is a server that took too long.
var errSilent = errors.New("the server did not answer in time")

// errNotOurRef is what a server says of a commit that it has not, not any more, or does not show.
var errNotOurRef = errors.New("the server does not give out that commit: the branch moved, or only newest commits may be read")

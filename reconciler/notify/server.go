package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// server is a repository's place in a Git server's API.
type server struct {
	cfg    Config
	kind   kind
	url    string // of a commit's statuses, without the commit
	client *http.Client
}

// kind is what servers differ in.
type kind struct {
	api    string // where the API begins on a host
	path   func(repository string) (string, error)
	header func(h http.Header, token string)
	body   func(c Config, s State) any
}

var kinds = map[string]kind{
	"github": {api: "/api/v3", path: twoParts("/repos/"), header: github, body: common},
	"gitlab": {api: "/api/v4", path: project, header: privateToken, body: gitlab},
	"gitea":  {api: "/api/v1", path: twoParts("/repos/"), header: tokenWord, body: common},
}

func newServer(cfg Config) (*server, error) {
	k, ok := kinds[cfg.Kind]
	if !ok {
		return nil, fmt.Errorf("commit status on %q: only github, gitlab and gitea are known (Forgejo is gitea)", cfg.Kind)
	}
	base, path, err := split(cfg.Repository)
	if err != nil {
		return nil, err
	}
	if cfg.TokenFile == "" {
		return nil, errors.New("commit status: --commit-status-token-file is missing")
	}
	if cfg.API != "" {
		if base, err = url.Parse(cfg.API); err != nil || base.Host == "" || base.User != nil {
			return nil, errors.New("commit status: the API's address is not like https://git.example.org/api/v4")
		}
		// A server below a folder of its host has that in its repositories' addresses, too.
		if folder, _, ok := strings.Cut(base.Path, "/api/"); ok && folder != "" {
			path = strings.TrimPrefix("/"+path, folder+"/")
		}
	} else if base.Path = k.api; cfg.Kind == "github" && base.Host == "github.com" {
		base.Host, base.Path = "api.github.com", ""
	}
	if base.Scheme != "https" && !(base.Scheme == "http" && (cfg.AllowHTTP || loopback(base.Hostname()))) {
		return nil, fmt.Errorf("commit status: %s://%s would show the token to everybody on the way; use https", base.Scheme, base.Host)
	}
	place, err := k.path(strings.Trim(path, "/"))
	if err != nil {
		return nil, err
	}
	s := &server{cfg: cfg, kind: k, url: strings.TrimSuffix(base.String(), "/") + place + "/statuses/"}
	s.client = &http.Client{Transport: cfg.Transport, CheckRedirect: sameOrigin}
	return s, nil
}

// scpForm is how git also writes an ssh address.
var scpForm = regexp.MustCompile(`^(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9.-]+):([^/].*)$`)

// split takes a repository's address apart: its server as a browser knows it, and the path there.
func split(repository string) (*url.URL, string, error) {
	host, path := "", ""
	scheme := "https"
	if m := scpForm.FindStringSubmatch(repository); m != nil {
		host, path = m[1], m[2]
	} else if u, err := url.Parse(repository); err == nil {
		host, path = u.Host, u.Path
		switch u.Scheme {
		case "ssh":
			host = u.Hostname() // the port is ssh's
			if strings.Contains(host, ":") {
				host = "[" + host + "]"
			}
		case "http", "https":
			scheme = u.Scheme
		default:
			host = ""
		}
	}
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if host == "" || path == "" {
		return nil, "", errors.New("commit status: it needs a repository on a server (https://… or ssh://…)")
	}
	return &url.URL{Scheme: scheme, Host: strings.ToLower(host)}, path, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// twoParts is the place of OWNER/REPOSITORY.
func twoParts(before string) func(string) (string, error) {
	return func(path string) (string, error) {
		owner, name, ok := strings.Cut(path, "/")
		if !ok || owner == "" || name == "" || strings.Contains(name, "/") {
			return "", fmt.Errorf("commit status: the repository's address ends in %q, not in OWNER/REPOSITORY", path)
		}
		return before + url.PathEscape(owner) + "/" + url.PathEscape(name), nil
	}
}

// project is the place of GROUP/…/PROJECT.
func project(path string) (string, error) {
	if !strings.Contains(path, "/") {
		return "", fmt.Errorf("commit status: the repository's address ends in %q, not in GROUP/PROJECT", path)
	}
	return "/projects/" + url.PathEscape(path), nil
}

func github(h http.Header, token string) {
	h.Set("Authorization", "Bearer "+token)
	h.Set("Accept", "application/vnd.github+json")
	h.Set("X-GitHub-Api-Version", "2022-11-28")
}

func privateToken(h http.Header, token string) { h.Set("PRIVATE-TOKEN", token) }

func tokenWord(h http.Header, token string) { h.Set("Authorization", "token "+token) }

type commonBody struct {
	State       Level  `json:"state"`
	Description string `json:"description"`
	Context     string `json:"context"`
	Target      string `json:"target_url,omitempty"`
}

func common(c Config, s State) any { return commonBody{s.Level, s.Description, c.Context, c.Target} }

type gitlabBody struct {
	State       string `json:"state"`
	Description string `json:"description"`
	Name        string `json:"name"`
	Target      string `json:"target_url,omitempty"`
}

func gitlab(c Config, s State) any {
	state := string(s.Level)
	if s.Level == Failure || s.Level == Error {
		state = "failed"
	}
	return gitlabBody{state, s.Description, c.Context, c.Target}
}

// sameOrigin follows a redirect on the same server only, and only one that
// repeats the request: the token is for nobody else.
func sameOrigin(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.Method != http.MethodPost || req.URL.Scheme != first.Scheme || req.URL.Host != first.Host || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// refusedError is an answer that is a no.
type refusedError struct {
	text  string
	final bool          // for ever
	wait  time.Duration // how long to leave the server alone; 0 when it does not say
}

func (e *refusedError) Error() string { return e.text }

const (
	maxAnswer = 64 << 10
	maxToken  = 16 << 10
	maxQuoted = 200
)

// post tells the server one state.
func (s *server) post(ctx context.Context, state State) error {
	token, err := readToken(s.cfg.TokenFile)
	if err != nil {
		return err
	}
	body, err := json.Marshal(s.kind.body(s.cfg, state))
	if err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+url.PathEscape(state.Commit), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("telling the status: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "camfleet")
	s.kind.header(req.Header, token)
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("telling the status: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil // whatever it says beside that
	}
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return s.refusal(resp, strings.ReplaceAll(string(answer), token, "…"))
}

func readToken(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading the token for the commit status: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" || len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s holds no token", file)
	}
	return token, nil
}

// refusal says what an answer means for the next attempt.
func (s *server) refusal(resp *http.Response, answer string) error {
	if len(answer) > maxQuoted {
		answer = answer[:maxQuoted]
	}
	e := &refusedError{text: fmt.Sprintf("the server answered %s: %q", resp.Status, answer), wait: pause(resp.Header, s.cfg.Clock.Now())}
	switch code := resp.StatusCode; {
	case code == http.StatusBadRequest && strings.Contains(answer, "Cannot transition status"):
		return nil // GitLab has that state already
	case code == http.StatusTooManyRequests, code == http.StatusForbidden && e.wait > 0:
		e.wait = max(e.wait, time.Minute)
	case code >= 500 && e.wait > 0:
	case code >= 500:
		return fmt.Errorf("telling the status: %w", errors.New(e.text)) // as if it were not there
	case code >= 300 && code < 400:
		e.text = fmt.Sprintf("the server sends us to %q, where the token does not go: has the repository moved?", resp.Header.Get("Location"))
		e.wait = 0
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound:
		e.text += "; check that the token is valid and may write commit statuses of this repository"
		e.wait = 0
	default:
		e.final, e.wait = true, 0 // 400, 422: there is no such commit any more
	}
	return e
}

// pause is how long a server wants to be left alone: Retry-After, or the end
// of its rate limit, when that is used up.
func pause(h http.Header, now time.Time) time.Duration {
	if after := h.Get("Retry-After"); after != "" {
		if seconds, err := strconv.Atoi(after); err == nil {
			return min(max(time.Duration(min(seconds, 1<<20))*time.Second, 0), longest)
		}
		if at, err := http.ParseTime(after); err == nil {
			return min(max(at.Sub(now), 0), longest)
		}
	}
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} {
		reset, err := strconv.ParseInt(h.Get(prefix+"Reset"), 10, 64)
		if h.Get(prefix+"Remaining") == "0" && err == nil {
			return min(max(time.Unix(reset, 0).Sub(now), time.Second), longest)
		}
	}
	return 0
}

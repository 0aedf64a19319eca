package source

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// newOrigin reads the form of a repository's address.
func newOrigin(cfg Config) (origin, error) {
	if cfg.URL == "" {
		return nil, errors.New("no repository: name a folder, file://…, https://… or ssh://…")
	}
	if m := scpForm.FindStringSubmatch(cfg.URL); m != nil {
		return nil, fmt.Errorf("repository %s: write it as ssh://%s/%s", cfg.URL, m[1], m[2])
	}
	if !strings.Contains(cfg.URL, "://") {
		return folder{path: cfg.URL, branch: cfg.Branch}, nil
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, errors.New("the repository's address is not a URL: check it for spaces and special characters")
	}
	if _, has := u.User.Password(); has || u.User != nil && u.Scheme != "ssh" {
		return nil, fmt.Errorf("the repository's address at %s holds a user or password: take it out, and give --token-file", u.Host)
	}
	switch u.Scheme {
	case "file":
		return folder{path: filepath.FromSlash(u.Path), branch: cfg.Branch}, nil
	case "https":
	case "http":
		if !loopback(u.Hostname()) {
			return nil, fmt.Errorf("repository %s: plain http shows the token to everybody on the way; use https", cfg.URL)
		}
	case "ssh":
		if cfg.KeyFile == "" || cfg.KnownHosts == "" {
			return nil, fmt.Errorf("repository %s: ssh needs --ssh-key FILE and --known-hosts FILE (ssh-keyscan %s writes one; compare it with what the server's owner says)", cfg.URL, u.Hostname())
		}
	default:
		return nil, fmt.Errorf("repository %s: %s:// is not known; use a folder, file://, https:// or ssh://", cfg.URL, u.Scheme)
	}
	return newRemote(cfg, u), nil
}

// scpForm is how git also writes an ssh address; a folder is called like that by nobody.
var scpForm = regexp.MustCompile(`^([A-Za-z0-9._-]+@[A-Za-z0-9.-]+):([^/].*)$`)

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// noBranch says what is there instead of the branch.
func noBranch(branch string, have []string) error {
	slices.Sort(have)
	switch {
	case len(have) == 0:
		return errors.New("it has no commits yet: commit the fleet's files, then it is read")
	case branch == "":
		return fmt.Errorf("its HEAD points at no commit: name a branch with --branch (there are: %s)", strings.Join(have, ", "))
	}
	return fmt.Errorf("it has no branch %q (there are: %s)", branch, strings.Join(have, ", "))
}

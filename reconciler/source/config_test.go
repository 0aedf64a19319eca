package source_test

import (
	"strings"
	"testing"

	"camfleet.dev/reconciler/source"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		cfg  source.Config
		want string // part of the error, "" for none
	}{
		{"folder", source.Config{URL: "/srv/fleet"}, ""},
		{"https", source.Config{URL: "https://git.example.org/fleet.git", TokenFile: "token"}, ""},
		{"ssh", source.Config{URL: "ssh://git@git.example.org/fleet.git", KeyFile: "key", KnownHosts: "hosts"}, ""},
		{"nothing", source.Config{}, "no repository"},
		{"ssh without known hosts", source.Config{URL: "ssh://git@git.example.org/x", KeyFile: "key"}, "--known-hosts"},
		{"password in https", source.Config{URL: "https://me:hunter2@git.example.org/x"}, "--token-file"},
		{"token as user", source.Config{URL: "https://hunter2@git.example.org/x"}, "--token-file"},
		{"password in ssh", source.Config{URL: "ssh://git:hunter2@git.example.org/x"}, "user or password"},
		{"plain http", source.Config{URL: "http://git.example.org/x"}, "use https"},
		{"unknown scheme", source.Config{URL: "ftp://git.example.org/x"}, "ftp:// is not known"},
		{"scp's form", source.Config{URL: "git@git.example.org:our/fleet.git"}, "ssh://git@git.example.org/our/fleet.git"},
		{"not a URL", source.Config{URL: "https://hunter2@:%zz"}, "not a URL"},
		{"path out of the repository", source.Config{URL: "/srv/fleet", Path: "../other"}, "without .."},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := source.New(c.cfg)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v does not say %q", err, c.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("error shows the password: %v", err)
			}
		})
	}
}

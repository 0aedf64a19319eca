package sourcetest

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Server serves repositories over HTTP with git's own http-backend.
type Server struct {
	*httptest.Server
	Token    string // wanted as the password when not empty
	Requests atomic.Int64
	Fetches  atomic.Int64 // requests that move objects, beyond ls-remote
	Sent     atomic.Int64 // bytes of all answers
}

// NewServer serves the repositories in folder root.
func NewServer(t testing.TB, root string) *Server {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("finding git's programs: %v", err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	s := &Server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Requests.Add(1)
		if _, password, _ := r.BasicAuth(); s.Token != "" && password != s.Token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodPost {
			s.Fetches.Add(1)
		}
		backend.ServeHTTP(counting{w, &s.Sent}, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// counting counts what is sent.
type counting struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c counting) Write(p []byte) (int, error) {
	c.sent.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

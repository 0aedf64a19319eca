// Package programs builds camfleet's own programs for the tests that run them as
// users do: once per test process, into a folder that Main removes.
package programs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Set builds when it is asked first. Its zero value is ready.
type Set struct {
	once sync.Once
	dir  string
	err  error
}

// Path is the path of a program: "camfleet" or "camfleet-worker".
func (s *Set) Path(t testing.TB, name string) string {
	t.Helper()
	s.once.Do(s.build)
	if s.err != nil {
		t.Fatal(s.err)
	}
	return filepath.Join(s.dir, name)
}

func (s *Set) build() {
	if s.dir, s.err = os.MkdirTemp("", "camfleet-programs-"); s.err != nil {
		return
	}
	cmd := exec.Command("go", "build", "-o", s.dir, "camfleet.dev/cmd/camfleet", "camfleet.dev/cmd/camfleet-worker")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.err = fmt.Errorf("building the programs: %w\n%s", err, out)
	}
}

// Remove deletes what was built.
func (s *Set) Remove() error { return os.RemoveAll(s.dir) }

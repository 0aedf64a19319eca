package cptest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
)

// Shared is one cluster for all tests of a package, started when the first asks for it:
//
//	var shared cptest.Shared
//
//	func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }
//
//	func TestX(t *testing.T) { c := shared.Get(t) … }
type Shared struct {
	Options Options

	once    sync.Once
	cluster *Cluster
	err     error
}

// Get returns the cluster. Where it is not built, the test is skipped, as with Start.
func (s *Shared) Get(t testing.TB) *Cluster {
	t.Helper()
	s.once.Do(func() {
		dir, err := os.MkdirTemp("", "camfleet-cptest-")
		if err != nil {
			s.err = fmt.Errorf("making a folder for the control plane: %w", err)
			return
		}
		// Not the test's context: the cluster outlives it.
		if s.cluster, s.err = New(context.Background(), dir, s.Options); s.err != nil {
			os.RemoveAll(dir) //nolint:errcheck // only a temporary folder
		}
	})
	if s.err != nil {
		refuse(t, s.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.cluster.dump(t)
		}
	})
	return s.cluster
}

// Main runs the tests, stops the cluster and returns the exit code. A component
// that ended by itself is a failure.
func (s *Shared) Main(m *testing.M) int { return s.finish(m.Run()) }

func (s *Shared) finish(code int) int {
	if s.cluster == nil {
		return code
	}
	if err := s.cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "cptest:", err)
		code = max(code, 1)
	}
	if err := os.RemoveAll(s.cluster.Dir); err != nil {
		fmt.Fprintln(os.Stderr, "cptest:", err)
	}
	return code
}

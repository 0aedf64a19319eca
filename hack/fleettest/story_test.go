package fleettest

import (
	"os"
	"testing"
	"time"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/programs"
)

var (
	shared = cptest.Shared{Options: cptest.Options{Nodes: 3}}
	built  programs.Set
)

func TestMain(m *testing.M) {
	code := shared.Main(m)
	if err := built.Remove(); err != nil {
		code = max(code, 1)
	}
	os.Exit(code)
}

// TestStory is the whole story of a fleet in a cluster.
func TestStory(t *testing.T) {
	w := New(t, shared.Get(t), &built)
	first := w.Repo.Commit(SiteFile("gate"), Site("gate", 3), SiteFile("yard"), Site("yard", 2))
	r := w.Reconcile()
	r.Synced(first, time.Minute)
	w.Running(5, time.Minute)
}

package manifests

import (
	"os"
	"testing"

	"camfleet.dev/hack/cptest"
)

// shared is the API server of all tests here.
var shared = cptest.Shared{Options: cptest.Options{Nodes: 2, Audit: true}}

func TestMain(m *testing.M) { os.Exit(shared.Main(m)) }

func TestToken(t *testing.T) {
	c := shared.Get(t)
	if Token(t, c) == "" {
		t.Error("no token")
	}
}

package manifests

import (
	"fmt"
	"os"
	"testing"

	"camfleet.dev/hack/cptest"
)

// shared is the API server of all tests here.
var shared = cptest.Shared{Options: cptest.Options{Nodes: 2, Audit: true}}

// work is a folder for all tests here.
var work string

func TestMain(m *testing.M) {
	var err error
	if work, err = os.MkdirTemp("", "camfleet-manifests-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := shared.Main(m)
	os.RemoveAll(work) //nolint:errcheck // only a temporary folder
	os.Exit(code)
}

func TestToken(t *testing.T) {
	c := shared.Get(t)
	if Token(t, c) == "" {
		t.Error("no token")
	}
}

package status_test

import (
	"encoding/json"
	"strings"
	"testing"

	"camfleet.dev/reconciler/status"
)

// What is not known is left out: a camera without a Pod is not from the year 1.
func TestUnknownTimes(t *testing.T) {
	t.Parallel()
	for _, v := range []any{status.Camera{Site: "gate", Name: "north", State: "missing"}, status.Node{Name: "edge", Missing: true}} {
		text, err := json.Marshal(v)
		if err != nil || strings.Contains(string(text), "since") {
			t.Errorf("%s, %v", text, err)
		}
	}
}

// What is wrong with a newer commit is not said of the one that runs.
func TestProblemsOf(t *testing.T) {
	t.Parallel()
	refused := &status.Refused{Commit: "b"}
	p := status.ProblemsOf(status.Status{Commit: "a", Refused: refused})
	if p.Commit != "a" || len(p.Problems) != 0 || p.Refused != refused {
		t.Errorf("%+v", p)
	}
}

package object_test

import (
	"encoding/json"
	"testing"

	"camfleet.dev/compiler/object"
)

// TestProblemJSON holds what programs read: the same fields, whatever is known.
func TestProblemJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		problem    object.Problem
		text, json string
	}{
		{
			object.Problem{Position: object.Position{File: "fleet.cue"}, Message: "is missing"},
			"fleet.cue: is missing",
			`{"file":"fleet.cue","line":0,"column":0,"path":"","message":"is missing"}`,
		},
		{
			object.Problem{Site: "gate", Position: object.Position{File: "sites/gate/kustomization.yaml", Line: 4}, Message: "is not YAML"},
			"sites/gate/kustomization.yaml:4: is not YAML",
			`{"site":"gate","file":"sites/gate/kustomization.yaml","line":4,"column":0,"path":"","message":"is not YAML"}`,
		},
		{
			object.Problem{Position: object.Position{File: "a.cue", Line: 4, Column: 7}, Path: "site.title", Message: "no"},
			"a.cue:4:7: site.title: no",
			`{"file":"a.cue","line":4,"column":7,"path":"site.title","message":"no"}`,
		},
	} {
		raw, err := json.Marshal(c.problem)
		if err != nil || string(raw) != c.json {
			t.Errorf("%s, %v; want %s", raw, err, c.json)
		}
		if c.problem.Error() != c.text {
			t.Errorf("%q, want %q", c.problem.Error(), c.text)
		}
	}
}

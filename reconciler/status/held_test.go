package status_test

import (
	"testing"

	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
)

func TestHeldWords(t *testing.T) {
	t.Parallel()
	held := func(tried ...engine.Action) []engine.Change {
		var all []engine.Change
		for _, a := range tried {
			all = append(all, engine.Change{Action: engine.Held, Tried: a})
		}
		return all
	}
	for want, changes := range map[string][]engine.Change{
		"1 deletion waits for approval":                             held(""),
		"2 deletions wait for approval":                             held("", ""),
		"1 replacement waits for approval":                          held(engine.Replaced),
		"1 deletion and 2 replacements wait for approval":           held(engine.Replaced, "", engine.Replaced),
		"1 deletion, 1 replacement and 2 changes wait for approval": held(engine.Configured, engine.Replaced, "", engine.Configured),
	} {
		if got := status.HeldWords(changes); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

package reconciler

import (
	"slices"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
)

func TestConditions(t *testing.T) {
	t.Parallel()
	id := object.ID{APIVersion: "v1", Kind: "Pod", Namespace: "n", Name: "a"}
	change := []engine.Change{{ID: id, Reason: "why"}}
	now := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	well := status.Status{Commit: "c", Fetched: now, Cameras: []status.Camera{{State: "live"}, {State: "disabled"}}}
	for name, c := range map[string]struct {
		change func(*status.Status)
		want   string // "Type Status Reason", those that differ from a status that is well
		says   string
	}{
		"well":       {func(*status.Status) {}, "", ""},
		"starting":   {func(s *status.Status) { *s = status.Status{} }, "Applied Unknown Starting,Compiled Unknown Starting,Fetched Unknown Starting,Healthy Unknown Starting", ""},
		"fetch":      {func(s *status.Status) { s.FetchError = "gone" }, "Fetched False FetchFailed", "gone"},
		"signed":     {func(s *status.Status) { s.Signer = "ann" }, "Verified True Signed", "by ann"},
		"unsigned":   {func(s *status.Status) { s.Unverified = "no signature" }, "Verified False NotSigned", "no signature"},
		"compiler":   {func(s *status.Status) { s.CompileError = "oom" }, "Compiled False CompilerFailed", "oom"},
		"problems":   {func(s *status.Status) { s.Problems = make([]object.Problem, 3) }, "Applied False Problems,Compiled False Problems", "(and 2 more)"},
		"suspended":  {func(s *status.Status) { s.Suspended = &status.Suspension{Reason: "roof"} }, "Applied False Suspended", "roof"},
		"unreadable": {func(s *status.Status) { s.TargetError = "403" }, "Applied False TargetUnreadable", "403"},
		"failed":     {func(s *status.Status) { s.Failed = change }, "Applied False ObjectsFailed", "n/Pod/a: why"},
		"held":       {func(s *status.Status) { s.Held = change }, "Applied False Held", "why"},
		"waiting":    {func(s *status.Status) { s.Waiting = change }, "Applied False Waiting", "1 object; the first is n/Pod/a: why"},
		"applying":   {func(s *status.Status) { s.Pending = &status.Pending{Commit: "d", Summary: "3 created"} }, "Applied False Applying", "commit d: 3 created"},
		"cameras":    {func(s *status.Status) { s.Cameras[0].State = "stale" }, "Healthy False Cameras", "1 of 2 cameras"},
		"nodes":      {func(s *status.Status) { s.Nodes = []status.Node{{Ready: true}, {Missing: true, Ready: true}} }, "Healthy False Nodes", "1 of 2 nodes"},
		"health":     {func(s *status.Status) { s.Health = []status.Health{{ID: id, Message: "day"}} }, "Healthy False Degraded", "n/Pod/a: day"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := well
			s.Cameras = slices.Clone(well.Cameras)
			c.change(&s)
			usual := conditions(well, nil, now)
			var differ, says []string
			for i, got := range conditions(s, usual, now.Add(time.Hour)) {
				if got.Since.Equal(now) != (got.Status == usual[i].Status) {
					t.Errorf("%s since %s", got.Type, got.Since)
				}
				if got.Status != usual[i].Status || got.Reason != usual[i].Reason {
					differ = append(differ, got.Type+" "+got.Status+" "+got.Reason)
					says = append(says, got.Message)
				}
			}
			if got := strings.Join(differ, ","); got != c.want || !strings.Contains(strings.Join(says, ","), c.says) {
				t.Errorf("%s: %s, want %s", got, says, c.want)
			}
		})
	}
}

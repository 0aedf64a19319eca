package notify_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/notify"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/source/sourcetest"
	"camfleet.dev/reconciler/status"
)

func TestFromStatus(t *testing.T) {
	t.Parallel()
	problem := object.Problem{
		Position: object.Position{File: "sites/gate/cameras.cue", Line: 12, Column: 7},
		Path:     "site.cameras.north.url", Message: "it has no host",
	}
	pod := engine.Change{ID: object.ID{Kind: "Pod", Namespace: "camfleet-gate", Name: "camera-north"}, Reason: "the node edge-7 is offline since 04:00"}
	sites := []status.Site{{Name: "gate", Cameras: 3}, {Name: "yard", Cameras: 1}}
	for _, c := range []struct {
		name   string
		status status.Status
		level  notify.Level
		want   string
	}{
		{"nothing yet", status.Status{}, "", ""},
		{"applied", status.Status{Commit: sha, Sites: sites, Summary: "3 created"}, notify.Success, "applied: 4 cameras at 2 sites"},
		{"the repository is gone", status.Status{Commit: sha, Sites: sites[1:], FetchError: "gone"}, notify.Success, "applied: 1 camera at 1 site"},
		{"a problem", status.Status{Commit: sha, Problems: []object.Problem{problem}}, notify.Failure, "1 problem: sites/gate/cameras.cue:12:7: site.cameras.north.url: it has no host"},
		{"problems", status.Status{Commit: sha, Problems: []object.Problem{problem, problem}, Failed: []engine.Change{pod}}, notify.Failure, "2 problems, the first: sites/gate/cameras.cue:12:7: "},
		{"failed", status.Status{Commit: sha, Failed: []engine.Change{pod}}, notify.Failure, "1 object is not applied: camfleet-gate/Pod/camera-north: the node"},
		{"held", status.Status{Commit: sha, Held: []engine.Change{pod, pod, pod}}, notify.Pending, "3 deletions wait for approval, the first: camfleet-gate/Pod/camera-north"},
		{"waiting", status.Status{Commit: sha, Waiting: []engine.Change{pod}}, notify.Pending, "1 object waits: camfleet-gate/Pod/camera-north: the node edge-7 is offline since"},
		{"suspended", status.Status{Commit: sha, Suspended: &status.Suspension{Reason: "audit"}, Held: []engine.Change{pod}}, notify.Pending, "suspended: audit"},
		{"another commit is held", status.Status{Commit: sha, Unverified: "repository x: commit abcdefabcdef: it is held: it is not signed"}, notify.Success, "applied: 0"},
		{"another commit is refused", status.Status{Commit: sha, FetchError: "refused", Refused: &status.Refused{Commit: "abcdef", Problems: []object.Problem{problem}}}, notify.Success, "applied: 0"},
		{"no cluster", status.Status{Commit: sha, TargetError: "the API server does not answer"}, notify.Error, "the API server does not answer"},
	} {
		got := notify.FromStatus(c.status)
		if got.Level != c.level || got.Commit != c.status.Commit || !strings.HasPrefix(got.Description, c.want) {
			t.Errorf("%s: %+v, want %s %q", c.name, got, c.level, c.want)
		}
	}
}

// Errors of a real source name the commit that they are about.
func TestFromError(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	hash := repo.Commit("a/.gitignore", "", "fleet.cue", "1")
	repo.Git("rm", "-q", "-r", ".")
	repo.Git("commit", "-q", "-m", "oops")
	empty := repo.Git("rev-parse", "HEAD")
	s, err := source.New(source.Config{URL: repo.Dir})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Fetch(t.Context(), hash)
	if got, ok := notify.FromError(err); !ok || got.Commit != empty || got.Level != notify.Failure || !strings.HasPrefix(got.Description, "refused: it holds no files") {
		t.Errorf("%+v, %v: %v", got, ok, err)
	}
	held := fmt.Errorf("x: %w", &source.UnverifiedError{Commit: sha, Cause: source.Unsigned, Why: "it is not signed"})
	if got, ok := notify.FromError(held); !ok || got.Commit != sha || got.Description != "it is held: it is not signed" {
		t.Errorf("%+v, %v", got, ok)
	}
	if got, ok := notify.FromError(errors.New("gone")); ok {
		t.Errorf("%+v", got)
	}
	if got, ok := notify.FromError(nil); ok {
		t.Errorf("%+v", got)
	}
}

// What the source says of a commit goes to the server by itself.
func TestReports(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	first := repo.Commit("fleet.cue", "1")
	s, err := source.New(source.Config{URL: repo.Dir})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "gitea")
	w.run()
	reports := notify.Reports{Source: s, To: w.Notifier}
	if c, err := reports.Fetch(t.Context(), ""); err != nil || c.Hash != first {
		t.Fatal(c, err)
	}
	second := repo.Commit("fleet.cue", "2")
	if c, err := reports.Fetch(t.Context(), first); err != nil || c.Hash != second {
		t.Fatal(c, err)
	}
	w.sent(1)
	repo.Git("rm", "-q", "-r", ".")
	repo.Git("commit", "-q", "-m", "oops")
	for range 3 {
		if c, err := reports.Fetch(t.Context(), second); err == nil {
			t.Fatal(c)
		}
	}
	w.sent(2)
	got := w.requests()
	if !strings.HasSuffix(got[0].uri, second) || got[0].body["state"] != "pending" || got[1].body["state"] != "failure" {
		t.Errorf("%+v", got)
	}
	held := status.Status{Commit: sha, Unverified: "repository x: commit " + sha[:12] + ": it is held: the key is gone"}
	if got := notify.FromStatus(held); got.Commit != "" {
		t.Errorf("two say different things of one commit: %+v", got)
	}
}

// Whatever a description is, a server takes it, and it says something.
func FuzzDescription(f *testing.F) {
	f.Add("short")
	f.Add("two\nlines\twith \x1b[31mcolour\x00")
	f.Add(strings.Repeat("ü", 200))
	f.Add("\xff\xfe\u202e")
	f.Fuzz(func(t *testing.T, text string) {
		got := notify.Describe(text)
		if n := utf8.RuneCountInString(got); n > 140 || !utf8.ValidString(got) || strings.ContainsAny(got, "\n\r\x00\x1b") {
			t.Errorf("%q became %q (%d)", text, got, n)
		}
	})
}

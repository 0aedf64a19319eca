package reconciler_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

func TestFollowsTheRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run()
	if s := w.Status(); s.State != status.Starting || s.Cameras == nil || s.Problems == nil {
		t.Fatalf("%+v", s)
	}
	w.push(commitA, Result(Cameras("gate", 2)))
	s := w.poll()
	if s.Commit != commitA || s.State != status.Synced || s.Summary != "9 created" || s.Subject != "about "+commitA ||
		!s.Time.Equal(start) || s.Source != w.String() || len(s.Changes) != 9 || len(s.Sites) != 1 || s.Sites[0].Cameras != 2 {
		t.Fatalf("%+v", s)
	}
	w.push(commitB, Result(Cameras("gate", 3)))
	if s := w.poll(); s.Commit != commitB || s.Summary != "3 created, 9 unchanged" {
		t.Fatalf("%+v", s)
	}
	calls := w.cluster.Calls()
	for range 20 {
		w.poll()
	}
	if got := w.cluster.Calls(); got != calls || len(w.compiled) != 2 {
		t.Errorf("nothing changed, and the cluster was called %d times, the compiler ran %d times", got-calls, len(w.compiled))
	}
	if len(w.Status().Changes) != 3 {
		t.Errorf("the last changes are forgotten: %+v", w.Status().Changes)
	}
}

func TestFetchErrorsChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 2)))
	w.run()
	steps := len(w.cluster.Steps)
	w.fetchFails(errors.New("the repository is gone"))
	s := w.poll()
	if s.State != status.Failing || s.FetchError != "the repository is gone" || s.Commit != commitA || !s.Fetched.Equal(start) {
		t.Fatalf("%+v", s)
	}
	before := w.clock.Now()
	for range 6 {
		w.poll()
	}
	if d := w.clock.Now().Sub(before); d < 40*time.Second || d > 100*time.Second {
		t.Errorf("six attempts took %v: is there a back-off?", d)
	}
	if len(w.cluster.Steps) != steps {
		t.Errorf("something was done: %s", w.cluster.Steps[steps:])
	}
	w.fetchFails(nil)
	w.push(commitB, Result(Cameras("gate", 3)))
	if s := w.poll(); s.State != status.Synced || s.FetchError != "" || s.Commit != commitB {
		t.Fatalf("%+v", s)
	}
}

func TestCompilerFailures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, nil)
	w.run()
	if s := w.Status(); s.State != status.Failing || !strings.Contains(s.CompileError, "cannot be started") || s.Commit != "" {
		t.Fatalf("%+v", s)
	}
	w.poll()
	w.poll()
	if n := len(w.compiled); n < 2 {
		t.Errorf("it was not tried again (%d)", n)
	}
	w.mu.Lock()
	w.results[commitA] = Result(Cameras("gate", 1))
	w.mu.Unlock()
	for range 40 {
		if s := w.poll(); s.State == status.Synced && s.CompileError == "" {
			return
		}
	}
	t.Errorf("%+v", w.Status())
}

func TestProblemsAreShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(append(Cameras("gate", 2), Cameras("yard", 2)...)))
	w.run()
	bad := Result(Cameras("yard", 3), "gate")
	bad.Sites[0].Broken = true
	bad.Objects = slices.DeleteFunc(bad.Objects, func(o object.Object) bool { return o.Site == "gate" })
	bad.Problems = []object.Problem{{Site: "gate", Position: object.Position{File: "sites/gate/cameras.cue", Line: 12, Column: 7}, Message: "no"}}
	bad.Warnings = []object.Problem{{Position: object.Position{File: "fleet.cue"}, Message: "careful"}}
	w.push(commitB, bad)
	s := w.poll()
	if s.State != status.Broken || len(s.Problems) != 1 || s.Problems[0].Line != 12 || s.Summary != "3 created, 18 unchanged" ||
		!slices.Equal(s.Warnings, []string{"fleet.cue: careful"}) {
		t.Fatalf("%+v", s)
	}
	w.push(commitC, &object.Result{Broken: true, Problems: bad.Problems})
	if s := w.poll(); s.State != status.Broken || s.Commit != commitC || len(s.Sites) != 0 {
		t.Fatalf("%+v", s)
	}
	w.push(commitA, w.results[commitA])
	if s := w.poll(); s.State != status.Synced || s.Summary != "3 deleted, 18 unchanged" {
		t.Fatalf("%+v", s)
	}
}

func TestHeldUntilApproved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(append(Cameras("gate", 20), Cameras("yard", 1)...)))
	w.run()
	if _, err := w.Approve(commitA); !errors.Is(err, reconciler.ErrNothingHeld) {
		t.Errorf("%v", err)
	}
	w.push(commitB, Result(append(Cameras("gate", 20), Cameras("new", 30)...)))
	s := w.poll()
	if s.State != status.Held || len(s.Held) != 4 || !strings.Contains(s.Held[0].Reason, "camfleet approve "+commitB) {
		t.Fatalf("%+v", s)
	}
	for _, commit := range []string{"", "bbb", commitA, "bbbbbbbbc"} {
		if _, err := w.Approve(commit); !errors.Is(err, reconciler.ErrNotNewest) {
			t.Errorf("%q: %v", commit, err)
		}
	}
	w.stop()
	<-w.done
	w.reset() // a crash
	w.run()
	if s := w.Status(); s.State != status.Held || len(s.Held) != 4 {
		t.Fatalf("after a crash: %+v", s)
	}
	w.mu.Lock()
	w.noteErr = errors.New("the disk is full")
	w.mu.Unlock()
	if _, err := w.Approve(commitB); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("%v", err)
	}
	w.mu.Lock()
	w.noteErr = nil
	w.mu.Unlock()
	if n, err := w.Approve("bbbbbbbb"); n != 4 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if s := w.settled(func(s status.Status) bool { return len(s.Held) == 0 }); s.State != status.Synced {
		t.Fatalf("%+v", s)
	}
	if w.cluster.Has(object.ID{APIVersion: "v1", Kind: "Pod", Namespace: "camfleet-yard", Name: "camera-c0"}) {
		t.Error("what was approved is still there")
	}
}

// What a held commit adds must not raise the number it may take away, not even
// after a crash.
func TestHeldOverACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 9)))
	w.run()
	w.push(commitB, Result(append(Cameras("gate", 7), Cameras("yard", 9)...)))
	for range 3 {
		if s := w.poll(); len(s.Held) != 6 {
			t.Fatalf("%+v", s)
		}
		w.stop()
		<-w.done
		w.reset()
		w.run()
		if s := w.Status(); len(s.Held) != 6 {
			t.Fatalf("after a crash: %+v", s)
		}
	}
	w.push(commitA, Result(append(Cameras("gate", 9), Cameras("yard", 9)...)))
	if s := w.poll(); s.State != status.Synced || !strings.HasPrefix(string(w.notes), `{"last":"`+commitA+`"`) {
		t.Fatalf("%+v, notes %s", s, w.notes)
	}
}

func TestFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := true
	w.cluster.Fail = func(n int) Fault {
		if broken && (n == 0 || n == 3) {
			return Before
		}
		return None
	}
	w.push(commitA, Result(Cameras("gate", 2)))
	w.run()
	if s := w.Status(); s.State != status.Failing || s.TargetError != "listing what is there: injected failure" || s.Commit != commitA {
		t.Fatalf("%+v", s)
	}
	partly := false
	for range 10 {
		s := w.poll()
		if partly = partly || len(s.Failed) > 0; s.State == status.Synced {
			break
		}
	}
	if !partly {
		t.Error("the object that failed was never shown")
	}
	if s := w.Status(); s.State != status.Synced || !strings.HasSuffix(s.Summary, "unchanged") {
		t.Fatalf("%+v", s)
	}
}

func TestOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fetchFails(errors.New("gone"))
	if _, err := w.Once(t.Context()); err == nil || err.Error() != "gone" {
		t.Errorf("%v", err)
	}
	w.fetchFails(nil)
	w.reset()
	w.push(commitA, Result(Cameras("gate", 4)))
	if s, err := w.Once(t.Context()); err != nil || s.Summary != "15 created" {
		t.Errorf("%v %+v", err, s)
	}
	w.reset()
	w.push(commitB, Result(Cameras("gate", 1)))
	if _, err := w.Once(t.Context()); err == nil || !strings.Contains(err.Error(), "camfleet approve "+commitB) {
		t.Errorf("%v", err)
	}
	w.reset()
	w.push(commitC, &object.Result{Broken: true, Problems: []object.Problem{{Message: "x"}}})
	if _, err := w.Once(t.Context()); err == nil || !strings.Contains(err.Error(), "has 1 problem;") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.reset()
	if _, err := w.Once(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A commit that the source refuses is shown as problems with their files, until
// the branch is back on a commit that can be read, be it the old one.
func TestRefusedCommitIsShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.push(commitA, Result(Cameras("gate", 2)))
	w.run()
	w.fetchFails(fmt.Errorf("repository: %w", &source.RefusedError{Files: []source.Refusal{{File: "sites/gate/x.cue", Why: "is a symbolic link"}}}))
	s := w.poll()
	if s.Commit != commitA || s.State != status.Failing || len(s.Problems) != 0 || s.Refused == nil ||
		len(s.Refused.Problems) != 1 || s.Refused.Problems[0].File != "sites/gate/x.cue" || s.Refused.Problems[0].Message != "is a symbolic link" {
		t.Fatalf("%+v", s)
	}
	w.fetchFails(nil)
	if s := w.poll(); s.State != status.Synced || s.Refused != nil {
		t.Fatalf("%+v", s)
	}
}

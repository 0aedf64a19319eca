package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
)

func TestPruneSafety(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		had, has  int // cameras of the site gate
		others    int // cameras of the site yard, before
		others2   int // and after
		noGate    bool
		deleted   int // objects
		held      int
		unchanged int
	}{
		{name: "one of one", had: 1, has: 0, deleted: 3},
		{name: "one of two", had: 2, has: 1, deleted: 3},
		{name: "two of two", had: 2, has: 0, held: 6},
		{name: "two of nine is over 20 %", had: 9, has: 7, held: 6},
		{name: "two of ten is 20 %", had: 10, has: 8, deleted: 6},
		{name: "three of ten", had: 10, has: 7, held: 9},
		{name: "ten of a hundred", had: 100, has: 90, deleted: 30},
		{name: "eleven of a hundred", had: 100, has: 89, held: 33},
		{name: "counted over all sites", had: 5, has: 4, others: 4, others2: 3, held: 6},
		{name: "a whole site of one camera", had: 1, has: 0, noGate: true, others: 50, others2: 50, held: 4},
		{name: "a whole site without cameras", noGate: true, others: 5, others2: 5, held: 1},
		{name: "a site and one camera elsewhere", had: 1, noGate: true, others: 20, others2: 19, held: 4, deleted: 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &Memory{}
			sync(t, m, Result(append(Cameras("gate", c.had), Cameras("yard", c.others)...), "gate"), engine.Options{})
			var sites []string
			if !c.noGate {
				sites = append(sites, "gate")
			}
			next := Result(append(Cameras("gate", c.has), append(Cameras("yard", c.others2), Camera{Site: "attic", Name: "new"})...), sites...)
			o := engine.Options{Commit: "abc123", Approved: "another"}
			for range 2 { // held again by the same commit: nothing has changed
				set := sync(t, m, next, o)
				o.Base = set.Base
				n := set.Counts()
				if n[engine.Held] != c.held || len(set.Waiting()) != c.held {
					t.Fatalf("%d held, want %d\n%s", n[engine.Held], c.held, set)
				}
			}
			if got := count(m, "deleted"); got != c.deleted {
				t.Errorf("%d deleted, want %d", got, c.deleted)
			}
			if !m.Has(object.ID{APIVersion: "v1", Kind: "Pod", Namespace: "camfleet-attic", Name: "camera-new"}) {
				t.Error("what the commit creates waits for what it deletes")
			}
			o.Approved = o.Commit
			set := sync(t, m, next, o)
			if n := set.Counts(); n[engine.Deleted] != c.held || n[engine.Held] != 0 {
				t.Errorf("approved:\n%s", set)
			}
			if !m.Has(object.ID{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: "camfleet-gate", Name: "archive"}) {
				t.Error("the recordings were pruned")
			}
			o.Approved = ""
			if n := sync(t, m, next, o).Counts(); n[engine.Held] != 0 || n[engine.Deleted] != 0 {
				t.Errorf("afterwards: %v", n)
			}
		})
	}
}

func count(m *Memory, action string) int {
	return len(slices.DeleteFunc(slices.Clone(m.Steps), func(s string) bool { return !strings.HasPrefix(s, action) }))
}

func TestHeldSaysWhatToDo(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	sync(t, m, Result(append(Cameras("gate", 2), Cameras("yard", 20)...)), engine.Options{})
	set := sync(t, m, Result(Cameras("yard", 10)), engine.Options{Commit: "abc123"})
	for id, want := range map[string]string{
		"camfleet-gate/Pod/camera-c1":  "the whole site gate (2 cameras) is no longer in Git: if that is meant, type: camfleet approve abc123",
		"camfleet-yard/Pod/camera-c19": "12 of 22 cameras would go away in one commit, more than 4: if that is meant, type: camfleet approve abc123",
	} {
		if c := find(t, set, id); c.Reason != want {
			t.Errorf("%s: %s", id, c.Reason)
		}
		if n := strings.Count(set.String(), want); n != 1 {
			t.Errorf("the table says it %d times:\n%s", n, set)
		}
	}
}

// A commit may stop a camera's Pod and leave the rest: that is a camera going away, too.
func TestPodsGoingAwayCount(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	r := Result(Cameras("gate", 4))
	sync(t, m, r, engine.Options{})
	r.Objects = slices.DeleteFunc(r.Objects, func(o object.Object) bool { return o.Kind == "Pod" })
	if got := sync(t, m, r, engine.Options{Commit: "x"}).Counts()[engine.Held]; got != 4 {
		t.Errorf("%d held", got)
	}
}

// Day files switched off for every camera removes no camera.
func TestOtherObjectsArePruned(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	r := Result(Cameras("gate", 40))
	sync(t, m, r, engine.Options{})
	r.Objects = slices.DeleteFunc(r.Objects, func(o object.Object) bool { return o.Kind == "CronJob" })
	if got := sync(t, m, r, engine.Options{Commit: "x"}).Summary(); got != "40 deleted, 83 unchanged" {
		t.Error(got)
	}
}

func TestEmptyRepositoryDeletesNothing(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	sync(t, m, Result(Cameras("gate", 1)), engine.Options{})
	empty := Result(nil)
	if got := sync(t, m, empty, engine.Options{Commit: "x"}).Summary(); got != "4 held, 2 unchanged" {
		t.Error(got)
	}
}

func TestPhases(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	sync(t, m, Result(Cameras("gate", 5)), engine.Options{})
	next := Result(append(append(Cameras("gate", 4), Camera{Site: "gate", Name: "m"}), Camera{Site: "yard", Name: "n"}))
	sync(t, m, next, engine.Options{})
	order := []string{"Namespace", "ConfigMap", "CronJob", "Pod"}
	check := func(steps []string) {
		t.Helper()
		last, deleting := -1, false
		for _, s := range steps {
			if strings.HasPrefix(s, "deleted") && !deleting {
				deleting, last = true, -1
			}
			i := slices.IndexFunc(order, func(k string) bool { return strings.Contains(s, k+"/") })
			if i < 0 {
				continue
			}
			if deleting {
				i = len(order) - i
			}
			if i < last || deleting && !strings.HasPrefix(s, "deleted") {
				t.Errorf("%s comes too late in %s", s, fmt.Sprint(steps))
			}
			last = i
		}
	}
	of := func(site string) []string {
		return slices.DeleteFunc(slices.Clone(m.Steps[18:]), func(s string) bool { return !strings.Contains(s, site) })
	}
	check(m.Steps[:18])
	check(of("gate"))
	check(of("yard"))
}

// TestForgedCameras: objects that only have the labels of cameras are kept, and
// are no cameras that go away: they hold nothing up, and raise no limit.
func TestForgedCameras(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ forged, had, left, held int }{{30, 10, 9, 0}, {30, 2, 0, 6}, {0, 2, 0, 6}} {
		m := &Memory{}
		sync(t, m, Result(Cameras("gate", c.had)), engine.Options{})
		for i := range c.forged {
			o := object.Object{Site: "gate", Camera: fmt.Sprint("forged", i), Role: object.RoleCamera}
			o.ID = object.ID{APIVersion: "v1", Kind: []string{"ConfigMap", "Pod"}[i%2], Namespace: "theirs", Name: "camera-" + o.Camera}
			o.Body = Body(o, nil)
			m.Put(o, Fleet)
			m.Edit(o.ID, func(l *engine.Live) { l.Unapplied = true })
		}
		pod := object.Object{ID: podID("theirs", "c1"), Site: "gate", Camera: "c1", Role: object.RoleCamera}
		pod.Body = Body(pod, nil) // a camera's second Pod does not keep the camera
		m.Put(pod, Fleet)
		m.Edit(pod.ID, func(l *engine.Live) { l.Unapplied = true })
		set := plan(t, m, Result(Cameras("gate", c.left), "gate"), engine.Options{Commit: "abc"})
		n := set.Counts()
		if n[engine.Held] != c.held || n[engine.Held]+n[engine.Deleted] != 3*(c.had-c.left) {
			t.Errorf("%d of %d cameras gone, %d forged: %s", c.had-c.left, c.had, c.forged, set.Summary())
		}
		if c.held > 0 && !strings.Contains(set.String(), "to be deleted\n") {
			t.Errorf("it does not say what is held:\n%s", set)
		}
	}
}

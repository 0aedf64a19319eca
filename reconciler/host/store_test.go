package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/host/internal/disk"
)

var quiet = slog.New(slog.DiscardHandler)

func mustStore(t *testing.T, dir string) *store {
	t.Helper()
	s, err := openStore(dir, disk.Disk{}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sync makes s equal to r; it returns false when a step failed.
func (s *store) sync(t *testing.T, r *object.Result) bool {
	ok := true
	for _, c := range engine.Plan(r, s.list(enginetest.Fleet), engine.Options{Commit: "c", Approved: "c"}).Changes {
		if step, effect := c.Step(); effect && s.apply(t.Context(), step) != nil {
			ok = false
		}
	}
	return ok
}

// TestStoreCrashes ends the world at every step of a rollout (create, change,
// delete) in turn. Afterwards each object is as it was or as it should be, and
// the next rollout finishes the work.
func TestStoreCrashes(t *testing.T) {
	t.Parallel()
	before := enginetest.Result(enginetest.Cameras("gate", 2))
	changed := append(enginetest.Cameras("gate", 1), enginetest.Camera{Site: "gate", Name: "new"})
	changed[0].Restart = "other"
	after := enginetest.Result(changed)
	bodies := map[object.ID][]string{}
	for _, r := range []*object.Result{before, after} {
		for _, o := range r.Objects {
			bodies[o.ID] = append(bodies[o.ID], string(o.Body))
		}
	}
	for crash := 0; ; crash++ {
		dir := t.TempDir()
		mustStore(t, dir).sync(t, before)
		steps := 0
		dying, err := openStore(dir, disk.Disk{Fault: func(string, string) error {
			if steps++; steps > crash {
				return errors.New("the power failed")
			}
			return nil
		}}, quiet)
		if err != nil {
			t.Fatal(err)
		}
		finished := dying.sync(t, after)
		s := mustStore(t, dir)
		for _, l := range s.list(enginetest.Fleet) {
			if b := bodies[l.ID]; string(l.Body) != b[0] && string(l.Body) != b[len(b)-1] {
				t.Fatalf("crash at step %d: %s is %s", crash, l.ID, l.Body)
			}
		}
		s.sync(t, after)
		got := engine.Plan(after, mustStore(t, dir).list(enginetest.Fleet), engine.Options{}).Counts()
		// The namespace and the claim are among them, and nothing else is left.
		if got[engine.Unchanged] != len(after.Objects) || len(got) != 1 {
			t.Fatalf("crash at step %d: %v", crash, got)
		}
		if finished {
			if crash < 20 {
				t.Fatalf("only %d steps", crash)
			}
			return
		}
	}
}

func TestStoreMendsDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := enginetest.Result(enginetest.Cameras("gate", 1))
	mustStore(t, dir).sync(t, r)
	pod := filepath.Join(dir, "camfleet-gate", "v1.Pod.camera-c0.json")
	config := filepath.Join(dir, "camfleet-gate", "v1.ConfigMap.camera-c0.json")
	content, err := os.ReadFile(pod)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		pod:    string(content[:len(content)/2]),
		config: string(content), // another object's
		filepath.Join(dir, "camfleet-gate", "v1.Pod.empty.json"): "",
	} {
		if err := os.WriteFile(name, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lines, log := newLogs()
	s, err := openStore(dir, disk.Disk{}, log)
	if err != nil {
		t.Fatal(err)
	}
	lines.wait(t, "damaged", "camera-c0")
	if n := len(s.list(enginetest.Fleet)); n != len(r.Objects)-2 {
		t.Errorf("%d objects", n)
	}
	if got := engine.Plan(r, s.list(enginetest.Fleet), engine.Options{}).Summary(); got != "2 created, 4 unchanged" {
		t.Error(got)
	}
	if _, err := os.Stat(pod + unreadable); err != nil {
		t.Errorf("what was damaged is not kept: %v", err)
	}
	s.sync(t, r)
	if n := len(mustStore(t, dir).list(enginetest.Fleet)); n != len(r.Objects) {
		t.Errorf("%d objects", n)
	}
}

func TestStoreRefuses(t *testing.T) {
	t.Parallel()
	s := mustStore(t, t.TempDir())
	good := enginetest.Result(enginetest.Cameras("gate", 1)).Objects[0]
	for i, id := range []object.ID{
		{APIVersion: "v1", Kind: "Pod", Namespace: "..", Name: "x"},
		{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: "../x"},
		{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: ""},
		{APIVersion: "v1", Kind: "Pod", Namespace: "ns", Name: strings.Repeat("x", 300)},
		{APIVersion: "v1", Kind: "../Pod", Namespace: "ns", Name: "x"},
		{APIVersion: "../../v1", Kind: "Pod", Namespace: "ns", Name: "x"},
		{APIVersion: "", Kind: "Pod", Namespace: "ns", Name: "x"},
	} {
		o := good
		o.ID = id
		for _, step := range []engine.Step{{Action: engine.Created, Want: &o}, {Action: engine.Deleted, Live: &engine.Live{ID: id}}} {
			if err := s.apply(t.Context(), step); err == nil || !strings.Contains(err.Error(), "cannot be the name") {
				t.Errorf("%d: %v", i, err)
			}
		}
	}
	foreign := good
	foreign.Body = json.RawMessage(strings.ReplaceAll(string(good.Body), enginetest.Fleet, "another"))
	for _, c := range []struct {
		o    object.Object
		want string
	}{{good, ""}, {good, "exists already"}, {foreign, "another fleet (uid " + enginetest.Fleet + ")"}} {
		err := s.apply(t.Context(), engine.Step{Action: engine.Created, Want: &c.o})
		if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if n := len(s.list("another")); n != 0 {
		t.Errorf("%d objects of another fleet", n)
	}
}

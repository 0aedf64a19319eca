package cluster

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/manifests"
)

// example compiles the fleet in sites/. Its Pods find no node here, which keeps kwok away from them.
func (w *world) example() *object.Result {
	w.Helper()
	r, err := compiler.Compile(w.Context(), os.DirFS(filepath.Join("..", "..", "sites")), compiler.Options{})
	if err != nil || len(r.Problems) > 0 || r.Broken {
		w.Fatalf("compiling sites/: %v, %v", err, r.Problems)
	}
	w.fleet = r.Fleet.UID
	return r
}

// TestExample applies every kind of object that the example fleet has: then,
// and for a new process, nothing is drift, whatever the API server has made of it.
// What kubectl has applied of the same files is taken over in place.
//
// It is not parallel: it has a control plane of its own, as others have.
func TestExample(t *testing.T) {
	cp := cptest.Start(t, cptest.Options{})
	token := manifests.Token(t, cp)
	w := newWorldOn(t, cp, token)
	r := w.example()
	if n := len(r.Objects); n < 30 {
		t.Fatalf("only %d objects", n)
	}
	kubectl(t, cp, r)
	pods := w.podUIDs(r)
	w.mustSync(r)
	for name, uid := range w.podUIDs(r) {
		if pods[name] != uid {
			t.Errorf("%s was replaced when it was taken over", name)
		}
	}
	for _, o := range r.Objects {
		if e := w.watched.get(o.ID); e == nil || !e.ours {
			t.Errorf("%s is not ours", o.ID)
		}
	}
	w.quiet(r, "after taking it over")
}

// TestExampleFromNothing is the same fleet on an empty cluster.
func TestExampleFromNothing(t *testing.T) {
	t.Parallel()
	cp := shared.Get(t)
	w := newWorldOn(t, cp, token(t, cp))
	r := w.example()
	w.traffic.take()
	w.mustSync(r)
	if got := len(w.traffic.take()); got != len(r.Objects) {
		t.Errorf("%d requests for %d objects", got, len(r.Objects))
	}
	w.quiet(r, "after applying it")
}

// quiet checks that nothing is left to do, and nothing asked for, by this process and by a new one.
func (w *world) quiet(r *object.Result, when string) {
	w.Helper()
	for range 2 {
		w.settled(r)
		w.traffic.take()
		if set := w.sync(r); len(set.Changes) > 0 {
			w.Errorf("%s: there is something to do:\n%s", when, set)
		}
		// Events of what was done before may still be on their way.
		if sent := slices.DeleteFunc(w.traffic.take(), func(r string) bool { return strings.HasSuffix(r, "/events") }); len(sent) > 0 {
			w.Errorf("%s: requests %q", when, sent)
		}
		w.restart()
	}
}

func (w *world) podUIDs(r *object.Result) map[string]string {
	w.Helper()
	found, err := w.List(w.Context(), r.Fleet.UID)
	if err != nil {
		w.Fatal(err)
	}
	out := map[string]string{}
	for _, l := range found {
		if l.Kind == "Pod" {
			out[l.ID.String()] = l.UID
		}
	}
	return out
}

// kubectl applies what was compiled, as somebody without a reconciler does.
func kubectl(t *testing.T, cp *cptest.Cluster, r *object.Result, flags ...string) {
	t.Helper()
	var list bytes.Buffer
	for _, kind := range []string{"Namespace", ""} { // the namespaces first
		for _, o := range r.Objects {
			if kind == "" || o.Kind == kind {
				list.WriteString("---\n")
				list.Write(o.Body)
				list.WriteString("\n")
			}
		}
	}
	if flags == nil {
		flags = []string{"--server-side"}
	}
	args := append([]string{"apply", "-f", "-"}, flags...)
	cmd := cp.Kubectl(t.Context(), args...)
	cmd.Stdin = &list
	if out, err := cmd.CombinedOutput(); err != nil {
		// A namespace has no ServiceAccount at first; once more is enough.
		cmd = cp.Kubectl(t.Context(), args...)
		cmd.Stdin = strings.NewReader(joinBodies(r))
		if again, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, again)
		}
	}
}

func joinBodies(r *object.Result) string {
	var out strings.Builder
	for _, o := range r.Objects {
		out.WriteString("---\n" + string(o.Body) + "\n")
	}
	return out.String()
}

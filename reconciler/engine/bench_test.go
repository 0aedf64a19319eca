package engine_test

import (
	"context"
	"fmt"
	"testing"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
)

// large is a fleet of 1,000 cameras on 50 sites, and its cluster.
func large(b testing.TB, restart string) (*object.Result, []engine.Live) {
	var cameras []Camera
	for i := range 50 {
		for _, c := range Cameras(fmt.Sprintf("site%02d", i), 20) {
			c.CPU = "20m"
			cameras = append(cameras, c)
		}
	}
	m := &Memory{Clock: epoch}
	r := Result(cameras)
	engine.Applier{Cluster: m}.Apply(context.Background(), engine.Plan(r, nil, engine.Options{}))
	for _, o := range r.Objects {
		if o.Kind == "Pod" {
			record(m, o.ID, "n"+o.Site)
		}
	}
	live, err := m.List(context.Background(), Fleet)
	if err != nil {
		b.Fatal(err)
	}
	for i := range cameras {
		cameras[i].Restart += restart
	}
	return Result(cameras), live
}

// BenchmarkPlanUnchanged: what a cycle costs in which nothing has changed.
func BenchmarkPlanUnchanged(b *testing.B) {
	r, live := large(b, "")
	for b.Loop() {
		if n := len(engine.Plan(r, live, engine.Options{Now: epoch()}).Changed().Changes); n > 0 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(len(live)), "objects")
}

// BenchmarkPlanAll: a commit that replaces every camera.
func BenchmarkPlanAll(b *testing.B) {
	r, live := large(b, "x")
	for b.Loop() {
		if n := len(engine.Plan(r, live, engine.Options{Now: epoch()}).Of(engine.Replaced)); n != 100 {
			b.Fatal(n)
		}
	}
}

// BenchmarkSchedule: what the order of 4,150 steps costs.
func BenchmarkSchedule(b *testing.B) {
	r, _ := large(b, "")
	set := engine.Plan(r, nil, engine.Options{})
	a := engine.Applier{Parallel: 32, Cluster: stepper(func(context.Context, engine.Step) error { return nil })}
	for b.Loop() {
		a.Apply(context.Background(), set)
	}
}

// TestUnchangedIsCheap holds that bytes are compared before anything is parsed.
func TestUnchangedIsCheap(t *testing.T) {
	r, live := large(t, "")
	allocs := testing.AllocsPerRun(3, func() { engine.Plan(r, live, engine.Options{Now: epoch()}) })
	if perObject := allocs / float64(len(live)); perObject > 1 {
		t.Errorf("%.1f allocations per object", perObject)
	}
}

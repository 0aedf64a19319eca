package reconciler_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/status"
)

// stopped is a world in which a commit's rollout has stopped by itself: its Pods
// do not come back.
func stopped(t *testing.T, cameras int) *world {
	t.Helper()
	w := newWorld(t)
	w.cluster.Clock = w.clock.Now
	all := Cameras("gate", cameras)
	w.push(commitA, Result(all))
	w.run()
	for i := range cameras {
		w.recordsOn(fmt.Sprint("c", i))
	}
	for i := range all {
		all[i].Restart = "rtsp://nowhere"
	}
	w.push(commitB, Result(all))
	w.Wake()
	w.minutes(10)
	if s := w.Status(); s.State != status.Held || len(s.Held) == 0 || s.Held[len(s.Held)-1].Tried != engine.Replaced {
		t.Fatalf("%s %v", s.State, s.Held)
	}
	return w
}

// recordsOn makes a camera's Pod one that records.
func (w *world) recordsOn(camera string) {
	w.cluster.Edit(pod("gate", camera), func(l *engine.Live) { l.Pod.Ready, l.Pod.Phase = true, "Running" })
}

func (w *world) minutes(n int) {
	for range 2 * n {
		w.Changed()
		w.step(30 * time.Second)
	}
}

// replaced is how many Pods were replaced since the beginning.
func (w *world) replaced() (n int) {
	for _, s := range w.cluster.Steps {
		if strings.HasPrefix(s, "replaced ") {
			n++
		}
	}
	return n
}

// restart kills the reconciler, and starts another one.
func (w *world) restart() {
	w.stop()
	<-w.done
	w.reset()
	w.run()
}

// A rollout that stopped by itself does not go on because the reconciler was
// restarted: a bad commit would take two more cameras with each restart.
func TestStoppedRolloutOverARestart(t *testing.T) {
	t.Parallel()
	w := stopped(t, 20)
	before, reason := w.replaced(), w.Status().Held[0].Reason
	for range 3 {
		w.restart()
		w.minutes(5)
		if s := w.Status(); w.replaced() != before || s.State != status.Held || s.Held[0].Reason != reason {
			t.Fatalf("%d were replaced before, %d after the restart; %s %+v", before, w.replaced(), s.State, s.Held)
		}
	}
	if _, err := w.Approve(commitB); err != nil {
		t.Fatal(err)
	}
	w.minutes(15)
	if w.replaced() != 20 || w.Status().State == status.Held {
		t.Errorf("%d are replaced after the approval: %+v", w.replaced(), w.Status().Held)
	}
	w.restart()
	if w.minutes(1); w.replaced() != 20 || strings.Contains(string(w.notes), "stopped") {
		t.Errorf("%d %s", w.replaced(), w.notes)
	}
}

// It goes on by itself when the cameras come back, and a fix is not held back.
func TestStoppedRolloutGoesOn(t *testing.T) {
	t.Parallel()
	for name, help := range map[string]func(*world){
		"they come back": func(w *world) {
			for i := range 20 {
				w.recordsOn(fmt.Sprint("c", i))
			}
		},
		"a fix": func(w *world) {
			fixed := Cameras("gate", 20)
			for i := range fixed {
				fixed[i].Restart = "rtsp://right"
			}
			w.push(commitC, Result(fixed))
			w.Wake()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := stopped(t, 20)
			w.restart()
			before := w.replaced()
			help(w)
			if w.minutes(2); w.replaced() == before || w.Status().State == status.Held {
				t.Errorf("%+v", w.Status().Held)
			}
		})
	}
}

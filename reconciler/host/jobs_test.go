package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"camfleet.dev/reconciler/internal/clock"
)

// jobWorld runs jobs against a clock that the test moves.
type jobWorld struct {
	t     *testing.T
	clock *clock.Fake
	dir   string
	views chan *view
	ran   chan string
	err   chan error // what the next runs return; none: nil
	stop  func()
}

func newJobWorld(t *testing.T, now time.Time) *jobWorld {
	w := &jobWorld{t: t, clock: clock.NewFake(now), dir: filepath.Join(t.TempDir(), "jobs"), ran: make(chan string, 100), err: make(chan error, 100)}
	t.Cleanup(func() { w.stop() })
	w.start()
	return w
}

func (w *jobWorld) start() {
	w.views = make(chan *view, 1)
	j := &jobs{dir: w.dir, clock: w.clock, log: quiet, views: w.views, start: func(_ context.Context, c camera) error {
		w.ran <- fmt.Sprintf("%s %s", c.key, w.clock.Now().UTC().Format("01-02 15:04"))
		select {
		case err := <-w.err:
			return err
		default:
			return nil
		}
	}}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); j.run(ctx) }()
	w.stop = func() { cancel(); <-done }
	w.rest()
}

func (w *jobWorld) rest() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	if err := w.clock.Waiting(ctx, 1); err != nil {
		w.t.Fatal("jobs do not come to rest")
	}
}

// set gives jobs a view and waits until it is taken up.
func (w *jobWorld) set(v *view) {
	w.t.Helper()
	calls := w.clock.Calls()
	w.views <- v
	eventually(w.t, "the view", func() bool { return w.clock.Calls() > calls })
	w.rest()
}

// pass lets time pass, minute by minute as the clock is looked at.
func (w *jobWorld) pass(d time.Duration) {
	w.t.Helper()
	for end := w.clock.Now().Add(d); w.clock.Now().Before(end); {
		step, ok := w.clock.Next()
		if !ok {
			w.t.Fatal("nobody waits")
		}
		w.clock.Advance(min(step, end.Sub(w.clock.Now())))
		w.rest()
	}
}

// all are the runs so far.
func (w *jobWorld) all() string {
	var out []string
	for {
		select {
		case r := <-w.ran:
			out = append(out, r)
		default:
			return strings.Join(out, ", ")
		}
	}
}

func (w *jobWorld) want(runs string) {
	w.t.Helper()
	if got := w.all(); got != runs {
		w.t.Fatalf("ran %q, want %q", got, runs)
	}
}

func jobView(jobs ...job) *view {
	v := &view{cameras: map[key]camera{}, jobs: map[key]job{}}
	for _, j := range jobs {
		v.jobs[j.key] = j
		v.cameras[j.key] = camera{key: j.key}
	}
	return v
}

func daily(name, schedule, zone string) job {
	return job{key: key{"gate", name}, schedule: schedule, timeZone: zone}
}

func TestJobsRunInTheirZone(t *testing.T) {
	t.Parallel()
	w := newJobWorld(t, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	w.set(jobView(daily("berlin", "10 4 * * *", "Europe/Berlin"), daily("seoul", "10 4 * * *", "Asia/Seoul"), daily("utc", "10 4 * * *", "")))
	w.pass(24 * time.Hour)
	w.want("gate.berlin 11-23 03:10, gate.utc 11-23 04:10, gate.seoul 11-23 19:10")
	w.pass(24 * time.Hour)
	w.want("gate.berlin 11-24 03:10, gate.utc 11-24 04:10, gate.seoul 11-24 19:10")
}

// TestJobsOverClockChanges: at 04:10 local time, every day, whatever the clocks do.
func TestJobsOverClockChanges(t *testing.T) {
	t.Parallel()
	w := newJobWorld(t, time.Date(2027, 3, 27, 12, 0, 0, 0, time.UTC))
	w.set(jobView(daily("a", "10 4 * * *", "Europe/Berlin")))
	w.pass(48 * time.Hour) // forward on the 28th
	w.want("gate.a 03-28 02:10, gate.a 03-29 02:10")

	w = newJobWorld(t, time.Date(2026, 10, 24, 12, 0, 0, 0, time.UTC))
	w.set(jobView(daily("a", "10 4 * * *", "Europe/Berlin")))
	w.pass(48 * time.Hour) // back on the 25th
	w.want("gate.a 10-25 03:10, gate.a 10-26 03:10")
}

func TestJobsCatchUpOnce(t *testing.T) {
	t.Parallel()
	w := newJobWorld(t, time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	v := jobView(daily("a", "10 4 * * *", "UTC"), daily("b", "20 4 * * *", "UTC"))
	w.set(v)
	w.pass(5 * time.Hour)
	w.want("gate.a 11-23 04:10, gate.b 11-23 04:20")
	w.stop()
	w.clock.Advance(72*time.Hour + 30*time.Minute) // the machine is off for three days
	w.start()
	w.set(v)
	w.want("gate.a 11-26 05:30, gate.b 11-26 05:30")
	w.pass(time.Hour)
	w.want("")
	w.stop()
	w.start() // and again: nothing was missed
	w.set(v)
	w.pass(time.Minute)
	w.want("")
}

func TestJobsThatFail(t *testing.T) {
	t.Parallel()
	w := newJobWorld(t, time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC))
	w.set(jobView(daily("a", "10 4 * * *", "UTC"), daily("b", "11 4 * * *", "UTC")))
	for range 3 {
		w.err <- errors.New("no space")
	}
	w.pass(11 * time.Minute)
	w.want("gate.a 11-23 04:10, gate.a 11-23 04:11, gate.b 11-23 04:11")
	w.pass(time.Hour) // a failed twice, b once
	w.want("gate.b 11-23 04:12, gate.a 11-23 04:13")
}

func TestJobsThatDoNotRun(t *testing.T) {
	t.Parallel()
	w := newJobWorld(t, time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC))
	suspended, noCamera := daily("s", "10 4 * * *", "UTC"), daily("n", "10 4 * * *", "UTC")
	suspended.suspended = true
	v := jobView(suspended, noCamera, daily("feb", "0 0 30 2 *", "UTC"), daily("bad", "x", "UTC"), daily("ok", "10 4 * * *", "UTC"))
	delete(v.cameras, noCamera.key)
	w.set(v)
	w.pass(time.Hour)
	w.want("gate.ok 11-23 04:10")
	w.set(jobView())
	w.pass(24 * time.Hour)
	w.want("")
	if left, err := filepath.Glob(filepath.Join(w.dir, "*ok*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// TestJobsAndAClockThatIsSet: a computer without a clock of its own wakes up in 1970.
func TestJobsAndAClockThatIsSet(t *testing.T) {
	t.Parallel()
	w := newJobWorld(t, time.Date(2026, 11, 23, 5, 0, 0, 0, time.UTC))
	v := jobView(daily("a", "10 4 * * *", "UTC"))
	w.set(v)
	w.stop()
	w.clock.Advance(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC).Sub(w.clock.Now()))
	w.start()
	w.set(v)
	w.want("")
	w.clock.Advance(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).Sub(w.clock.Now())) // NTP
	eventually(t, "the run that was missed", func() bool { return len(w.ran) == 1 })
	w.rest()
	w.want("gate.a 11-24 12:00")
	w.pass(time.Hour)
	w.want("")
}

// TestDaysProcess runs a job as a real process, which yields to the recorders.
func TestDaysProcess(t *testing.T) {
	t.Parallel()
	o, lines := testOptions(t, "ok")
	h := openHost(t, o)
	c := camera{key: key{"gate", "a"}, raw: []byte(`{"site":"gate"}`)}
	if err := h.makeDays(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	line := lines.wait(t, "days made", "site=gate", "camera=a")
	if !strings.Contains(line, "config="+o.State+"/jobs/run/gate.a ") || !strings.Contains(line, "nice=10") {
		t.Error(line)
	}
	h.options.Env = []string{fakeEnv + "=crash"}
	if err := h.makeDays(t.Context(), c); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%v", err)
	}
}

package rtsp2hls

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"camfleet.dev/schema"
	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/media"
)

// fakeClock moves when a test says so.
type fakeClock struct {
	mutex  sync.Mutex
	now    time.Time
	timers []fakeTimer
	asked  chan time.Duration // of each After
}

type fakeTimer struct {
	at time.Time
	ch chan time.Time
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Unix(1_000_000, 0), asked: make(chan time.Duration, 1000)}
}

func (c *fakeClock) Now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.now
}

func (c *fakeClock) After(d time.Duration) <-chan time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	t := fakeTimer{c.now.Add(d), make(chan time.Time, 1)}
	c.timers = append(c.timers, t)
	c.asked <- d
	return t.ch
}

func (c *fakeClock) advance(d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.now = c.now.Add(d)
	var left []fakeTimer
	for _, t := range c.timers {
		if t.at.After(c.now) {
			left = append(left, t)
			continue
		}
		t.ch <- c.now
	}
	c.timers = left
}

// lab is a Camera whose connections are the test's own.
type lab struct {
	t      *testing.T
	clock  *fakeClock
	camera *Camera
	calls  chan chan *failure
}

func newLab(t *testing.T, timing Timing) *lab {
	t.Helper()
	l := &lab{t: t, clock: newFakeClock(), calls: make(chan chan *failure)}
	c, err := New(Options{
		Config:     schema.WorkerCamera{Site: "gate", Name: "north", URL: "rtsp://192.0.2.1/x"},
		ArchiveDir: archive.Dir(t.TempDir()), Log: slog.New(slog.DiscardHandler), Clock: l.clock, Timing: timing,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.once = func(ctx context.Context) *failure {
		result := make(chan *failure)
		select {
		case l.calls <- result:
			return <-result
		case <-ctx.Done():
			return nil
		}
	}
	l.camera = c
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return l
}

// fails waits for a connection, lets it last, and has it fail.
func (l *lab) fails(after time.Duration, f *failure) {
	l.t.Helper()
	select {
	case result := <-l.calls:
		l.clock.advance(after)
		result <- f
	case <-time.After(deadline):
		l.t.Fatal("no connection was tried")
	}
}

// waits is how long the camera means to wait now: its timers but those that
// read the credentials again or belong to the archive.
func (l *lab) waits() time.Duration {
	l.t.Helper()
	for {
		select {
		case d := <-l.clock.asked:
			if d != labSecrets && d != idle && d != reopen {
				return d
			}
		case <-time.After(deadline):
			l.t.Fatal("the camera does not wait")
		}
	}
}

const labSecrets = 77 * time.Hour // never due, and recognisable

func within(t *testing.T, got, want time.Duration) {
	t.Helper()
	if got < want*4/5 || got > want*6/5 {
		t.Errorf("waits %v, want %v with a fifth of jitter", got, want)
	}
}

func TestBackoffGrowsAndResets(t *testing.T) {
	t.Parallel()
	l := newLab(t, Timing{Secrets: labSecrets})
	away := func(lived bool) *failure {
		return &failure{state: archive.Unreachable, cause: media.CauseUnreachable, reason: "unreachable", lived: lived}
	}
	for _, want := range []int{1, 2, 4, 8, 16, 30, 30} {
		l.fails(0, away(false))
		d := l.waits()
		within(t, d, time.Duration(want)*time.Second)
		l.clock.advance(d)
	}
	l.fails(time.Minute, away(true)) // it worked for a minute
	d := l.waits()
	within(t, d, time.Second)
	l.clock.advance(d)
	l.fails(59*time.Second, away(true)) // not quite
	within(t, l.waits(), 2*time.Second)
}

func TestSlowAfterRefusal(t *testing.T) {
	t.Parallel()
	l := newLab(t, Timing{Secrets: labSecrets})
	l.fails(0, &failure{state: archive.Unauthorized, cause: media.CauseUnauthorized, reason: "unauthorized", slow: true})
	within(t, l.waits(), 2*time.Minute)
	cfg := l.camera.o.Config
	cfg.URL = "rtsp://192.0.2.2/y"
	l.camera.Update(cfg)
	l.fails(0, nil) // at once, without the clock having moved
}

func TestJitterStaysInBounds(t *testing.T) {
	t.Parallel()
	for range 1000 {
		within(t, jitter(time.Second), time.Second)
	}
	if jitter(3) != 3 {
		t.Error("too little to share out")
	}
}

// TestWallClock runs cameras against the clock: their own speed, and the network's delay.
func TestWallClock(t *testing.T) {
	t.Parallel()
	const frame = 3600
	begin := time.Unix(1000, 0)
	for _, c := range []struct {
		name    string
		speed   float64                   // of the camera's clock
		delay   func(n int) time.Duration // of frame n
		minutes int
		least   time.Duration // the last frame's time may be off by
		wrong   bool
	}{
		{"perfect", 1, func(int) time.Duration { return 0 }, 5, time.Millisecond, false},
		{"jitter", 1, func(n int) time.Duration { return time.Duration(n*37%50) * time.Millisecond }, 5, 10 * time.Millisecond, false},
		{"200 ppm fast", 1.0002, func(int) time.Duration { return 0 }, 30, 10 * time.Millisecond, false},
		{"200 ppm slow", 0.9998, func(int) time.Duration { return 0 }, 30, 10 * time.Millisecond, false},
		{"a burst first", 1, func(n int) time.Duration { return max(0, 5*time.Second-time.Duration(n)*40*time.Millisecond) }, 2, 10 * time.Second, true},
		{"time lost for good", 1, func(n int) time.Duration { return time.Duration(min(n/1000, 1)) * 4 * time.Second }, 3, 10 * time.Second, true},
		{"one delay", 1, func(n int) time.Duration { return time.Duration(n/2000%2*(1-n/2020%2)) * 3 * time.Second }, 3, 20 * time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := wallClock{rate: videoClock}
			var last, at, real time.Time
			wrong := false
			for n := range c.minutes * 60 * 25 {
				real = begin.Add(time.Duration(float64(n) * 40e6 / c.speed))
				at = w.time(int64(n)*frame, real.Add(c.delay(n)))
				if step := at.Sub(last); n > 0 && (step < 39980*time.Microsecond || step > 40020*time.Microsecond) {
					t.Fatalf("frame %d is %v after the one before: more than 500 ppm", n, step)
				}
				last = at
				wrong = wrong || w.wrong()
			}
			if off := at.Sub(real).Abs(); off > c.least || wrong != c.wrong {
				t.Errorf("off by %v, wrong %v", off, wrong)
			}
		})
	}
}

func TestWallClockDoesNotOverflow(t *testing.T) {
	t.Parallel()
	w := wallClock{rate: videoClock}
	year := int64(365 * 24 * 3600)
	if d := w.duration(year * videoClock); d != time.Duration(year)*time.Second {
		t.Errorf("a year is %v", d)
	}
	if d := w.duration(-1); d != -11111*time.Nanosecond {
		t.Errorf("a tick back is %v", d)
	}
}

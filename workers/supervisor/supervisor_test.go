package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"camfleet.dev/schema"
	"camfleet.dev/workers/media"
)

// fakeView is a live view that shows nothing.
type fakeView struct {
	mu     sync.Mutex
	closed bool
}

func (*fakeView) Start([]media.Track, bool)                        {}
func (*fakeView) Write(media.Unit)                                 {}
func (*fakeView) Stop(media.Cause)                                 {}
func (*fakeView) ServeHTTP(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("picture")) }
func (v *fakeView) Close()                                         { v.mu.Lock(); defer v.mu.Unlock(); v.closed = true }

// fakeCamera runs until its context is done, or what the test tells it to do.
type fakeCamera struct {
	cfg    schema.WorkerCamera
	do     chan func() error // what Run does next
	finish time.Duration     // how long it takes to end
	health Health

	mu      sync.Mutex
	updates []schema.WorkerCamera
}

func (c *fakeCamera) Run(ctx context.Context) error {
	select {
	case f := <-c.do:
		return f()
	case <-ctx.Done():
		<-time.After(c.finish)
		return nil
	}
}

func (c *fakeCamera) Update(cfg schema.WorkerCamera) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.updates = append(c.updates, cfg)
}

func (c *fakeCamera) Health() Health { return c.health }

// stage is a Supervisor of fake cameras.
type stage struct {
	*Supervisor
	mu     sync.Mutex
	made   map[Key][]*fakeCamera
	finish time.Duration
	refuse error
	failed []Key
	gone   []Key
}

func newStage() *stage {
	st := &stage{made: map[Key][]*fakeCamera{}}
	st.Supervisor = New(Options{
		Log:  slog.New(slog.DiscardHandler),
		View: func(Key, *slog.Logger) View { return &fakeView{} },
		Camera: func(cfg schema.WorkerCamera, _ View, _ *slog.Logger) (Camera, error) {
			st.mu.Lock()
			defer st.mu.Unlock()
			c := &fakeCamera{cfg: cfg, do: make(chan func() error, 1), finish: st.finish, health: Health{State: "live"}}
			key := Key{cfg.Site, cfg.Name}
			st.made[key] = append(st.made[key], c)
			return c, st.refuse
		},
		Failed: func(k Key) { st.mu.Lock(); defer st.mu.Unlock(); st.failed = append(st.failed, k) },
		Gone:   func(k Key) { st.mu.Lock(); defer st.mu.Unlock(); st.gone = append(st.gone, k) },
	})
	return st
}

// runs is how often a camera was made.
func (st *stage) runs(camera string) int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.made[Key{"gate", camera}])
}

func (st *stage) last(camera string) *fakeCamera {
	st.mu.Lock()
	defer st.mu.Unlock()
	all := st.made[Key{"gate", camera}]
	return all[len(all)-1]
}

// pass lets synctest's time pass, and what follows from it happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func cameras(names ...string) map[Key]schema.WorkerCamera {
	m := map[Key]schema.WorkerCamera{}
	for _, n := range names {
		m[Key{"gate", n}] = schema.WorkerCamera{Site: "gate", Name: n}
	}
	return m
}

func TestSetKeepsUpdatesStopsStarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newStage()
		st.Set(cameras("north", "south", "east"))
		synctest.Wait()
		want := cameras("north", "south", "west")
		south := want[Key{"gate", "south"}]
		south.Bitrate = 4e6
		want[Key{"gate", "south"}] = south
		st.Set(want)
		st.Set(want) // the same again is nothing
		synctest.Wait()
		for name, n := range map[string]int{"north": 1, "south": 1, "east": 1, "west": 1} {
			if got := st.runs(name); got != n {
				t.Errorf("%s was made %d times, want %d", name, got, n)
			}
		}
		if u := st.last("south").updates; len(u) != 1 || u[0].Bitrate != 4e6 {
			t.Errorf("south was updated with %v", u)
		}
		if u := st.last("north").updates; u != nil {
			t.Errorf("north was touched: %v", u)
		}
		if len(st.gone) != 1 || st.gone[0].Camera != "east" {
			t.Errorf("gone: %v", st.gone)
		}
		var names []string
		for _, r := range st.Reports() {
			names = append(names, r.Camera)
		}
		if got := strings.Join(names, " "); got != "north south west" {
			t.Errorf("reports: %s", got)
		}
		if err := st.Close(t.Context()); err != nil {
			t.Error(err)
		}
		st.Set(cameras("late"))
		synctest.Wait()
		if st.runs("late") != 0 {
			t.Error("a camera started after Close")
		}
	})
}

// TestFailedCameraStartsAgainAlone: errors and panics, with back-off; the new one has the newest configuration.
func TestFailedCameraStartsAgainAlone(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error":   func() error { return errors.New("no disk") },
		"nothing": func() error { return nil },
		"panic":   func() error { panic("a bug") },
		"nil":     func() error { var p *schema.WorkerCamera; return errors.New(p.URL) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				st := newStage()
				defer st.Close(t.Context()) //nolint:errcheck // not what is tested
				want := cameras("north", "south")
				st.Set(want)
				synctest.Wait()
				st.last("north").do <- fail
				synctest.Wait()
				north := want[Key{"gate", "north"}]
				north.Bitrate = 1
				want[Key{"gate", "north"}] = north
				st.Set(want) // while it waits
				if r := st.Reports()[0]; r.State != "failed" || r.Reason == "" || strings.Contains(r.Reason, "\n") || r.Restarts != 1 {
					t.Errorf("report %+v", r)
				}
				pass(backoffMin * 13 / 10)
				if st.runs("north") != 2 || st.runs("south") != 1 {
					t.Errorf("north was made %d times, south %d", st.runs("north"), st.runs("south"))
				}
				if st.last("north").cfg.Bitrate != 1 {
					t.Error("the configuration that changed meanwhile is lost")
				}
				if len(st.failed) != 1 {
					t.Errorf("failed: %v", st.failed)
				}
			})
		})
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newStage()
		defer st.Close(t.Context()) //nolint:errcheck // not what is tested
		st.refuse = errors.New("cannot be made")
		st.Set(cameras("north"))
		pass(10 * time.Minute)
		// 1+2+4+8+16 s, then every 30 s: about 24 times, a fifth more or less.
		if n := st.runs("north"); n < 19 || n > 30 {
			t.Errorf("%d attempts in ten minutes", n)
		}
		st.mu.Lock()
		st.refuse = nil
		st.mu.Unlock()
		pass(time.Minute)
		before := st.runs("north")
		pass(2 * time.Minute) // healthy
		st.last("north").do <- func() error { return errors.New("once") }
		pass(backoffMin * 13 / 10)
		if st.runs("north") != before+1 {
			t.Error("the back-off did not begin anew after a healthy while")
		}
	})
}

// TestSameNameWaits: a camera that was removed and comes back starts when the old one has finished.
func TestSameNameWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newStage()
		st.finish = 3 * time.Second
		st.Set(cameras("north"))
		synctest.Wait()
		st.Set(nil)
		st.Set(cameras("north"))
		pass(2 * time.Second)
		if st.runs("north") != 1 {
			t.Error("two at the same time")
		}
		pass(2 * time.Second)
		if st.runs("north") != 2 {
			t.Error("it did not come back")
		}
		if len(st.gone) != 0 {
			t.Error("it is not gone")
		}
		st.Set(nil)
		st.Set(cameras("north"))
		st.Set(nil)
		st.Set(cameras("north"))
		pass(10 * time.Second)
		if st.runs("north") < 3 || len(st.ending) != 0 {
			t.Errorf("made %d times, %d are ending", st.runs("north"), len(st.ending))
		}
		if err := st.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseIsParallelAndBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := newStage()
		st.finish = 3 * time.Second
		st.Set(cameras("a", "b", "c", "d"))
		synctest.Wait()
		st.Set(cameras("a", "b", "c"))
		began := time.Now()
		if err := st.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("took %s", took)
		}

		slow := newStage()
		slow.finish = time.Minute
		slow.Set(cameras("a", "b"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := slow.Close(ctx); err == nil || !strings.Contains(err.Error(), "gate/a, gate/b") {
			t.Errorf("error %v does not name who is late", err)
		}
		pass(2 * time.Minute)
	})
}

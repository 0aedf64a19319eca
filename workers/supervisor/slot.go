package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"camfleet.dev/schema"
	"camfleet.dev/workers/media"
)

// Back-off of a camera whose Run ends by itself: doubling, with jitter, from
// the beginning again after a good while.
const (
	backoffMin   = time.Second
	backoffMax   = 30 * time.Second
	backoffReset = time.Minute
)

// slot is one camera's place: its configuration, its live view, and the
// goroutine that makes and runs its Camera.
type slot struct {
	o      Options
	key    Key
	log    *slog.Logger
	view   View
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	cfg      schema.WorkerCamera
	camera   Camera // nil while none is made
	failure  error  // why the last Run ended
	failedAt time.Time
	restarts int
}

func startSlot(o Options, key Key, cfg schema.WorkerCamera, before <-chan struct{}) *slot {
	ctx, cancel := context.WithCancel(context.Background())
	log := o.Log.With("site", key.Site, "camera", key.Camera)
	sl := &slot{
		o: o, key: key, log: log, view: o.View(key, log), cfg: cfg,
		cancel: cancel, done: make(chan struct{}),
	}
	go sl.run(ctx, before)
	return sl
}

func (sl *slot) config() schema.WorkerCamera {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	return sl.cfg
}

// update keeps cfg for the next Camera, too.
func (sl *slot) update(cfg schema.WorkerCamera) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	sl.cfg = cfg
	sl.log.Info("configuration changed")
	if sl.camera != nil {
		sl.camera.Update(cfg)
	}
}

func (sl *slot) run(ctx context.Context, before <-chan struct{}) {
	defer close(sl.done)
	defer sl.view.Close()
	if before != nil {
		<-before
	}
	pause := time.Duration(0)
	for ctx.Err() == nil {
		began := time.Now()
		err := sl.runOnce(ctx)
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Canceled) {
				sl.log.Error("camera ended with an error", "error", err)
			}
			return
		}
		if pause = min(2*pause, backoffMax); pause == 0 || time.Since(began) >= backoffReset {
			pause = backoffMin
		}
		wait := jitter(pause)
		sl.failed(err, wait)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// jitter is d, a fifth more or less, so that cameras that failed together do not come back together.
func jitter(d time.Duration) time.Duration {
	return d*4/5 + rand.N(d*2/5)
}

func (sl *slot) failed(err error, wait time.Duration) {
	if err == nil {
		err = errors.New("ended without a reason")
	}
	sl.mu.Lock()
	sl.failure, sl.failedAt = err, time.Now()
	sl.restarts++
	sl.mu.Unlock()
	sl.log.Error("camera failed; it starts again, the others go on", "error", err, "wait", wait.Round(time.Millisecond))
	if sl.o.Failed != nil {
		sl.o.Failed(sl.key)
	}
}

// runOnce makes a Camera and runs it. A panic is an error of this camera alone.
func (sl *slot) runOnce(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
		sl.mu.Lock()
		sl.camera = nil
		sl.mu.Unlock()
		sl.view.Stop(media.CauseStopped)
	}()
	camera, err := sl.make()
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	return camera.Run(ctx)
}

// make holds the lock, so that an update comes either into the configuration
// that the Camera is made from, or to the Camera.
func (sl *slot) make() (Camera, error) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	camera, err := sl.o.Camera(sl.cfg, sl.view, sl.log)
	if err == nil {
		sl.camera = camera
	}
	return camera, err
}

func (sl *slot) report() Report {
	sl.mu.Lock()
	camera, failure, at, restarts := sl.camera, sl.failure, sl.failedAt, sl.restarts
	sl.mu.Unlock()
	r := Report{Site: sl.key.Site, Camera: sl.key.Camera, Restarts: restarts}
	switch {
	case camera != nil:
		r.Health = camera.Health()
	case failure != nil:
		r.Health = Health{State: "failed", Since: at, Reason: firstLine(failure.Error())}
	default:
		r.State = "connecting"
	}
	return r
}

package supervisor

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"camfleet.dev/schema"
	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/media"
)

// Key names a camera.
type Key struct{ Site, Camera string }

func (k Key) String() string { return k.Site + "/" + k.Camera }

// Camera does one camera's work.
type Camera interface {
	// Run works until ctx is done and then finishes what it has begun, within
	// seconds. It deals with the camera's own faults (reconnecting and so on)
	// by itself: returning earlier means that it cannot go on, and it is made
	// and run again after a pause.
	Run(ctx context.Context) error
	// Update tells the running Camera that its configuration changed. It must not block.
	Update(schema.WorkerCamera)
	// Health is asked by /healthz, at any time.
	Health() Health
}

// View is a camera's live view (live.Stream). It outlives the Camera, which may fail and be made again.
type View interface {
	media.Sink
	http.Handler
	Close()
}

// Options are what a Supervisor needs; all but Now and Failed are required.
type Options struct {
	Log *slog.Logger
	// View makes the live view of a camera.
	View func(Key, *slog.Logger) View
	// Camera makes what Run is called on. An error counts like one of Run.
	Camera func(schema.WorkerCamera, View, *slog.Logger) (Camera, error)
	// Failed, when set, is told of every Run that ended too early.
	Failed func(Key)
	// Gone, when set, is told of a camera that was removed, after it has ended.
	Gone func(Key)
}

// Supervisor runs the cameras that Set asks for.
type Supervisor struct {
	o Options

	mu     sync.Mutex
	closed bool
	slots  map[Key]*slot
	ending map[Key]*slot // removed, and still finishing
}

// New returns a Supervisor that runs nothing yet.
func New(o Options) *Supervisor {
	return &Supervisor{o: o, slots: map[Key]*slot{}, ending: map[Key]*slot{}}
}

// Set says which cameras shall run, and how. It is level-triggered: what is the
// same goes on untouched, what changed is updated, what is new starts, what is
// not named ends. It does not wait for any of it.
func (s *Supervisor) Set(desired map[Key]schema.WorkerCamera) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for key, sl := range s.slots {
		if _, ok := desired[key]; !ok {
			s.remove(key, sl)
		}
	}
	for key, cfg := range desired {
		if sl, ok := s.slots[key]; !ok {
			s.add(key, cfg)
		} else if !reflect.DeepEqual(sl.config(), cfg) {
			sl.update(cfg)
		}
	}
}

// add starts a camera, after an earlier one of the same name has finished: it
// holds the lock of the archive until then. The caller holds mu.
func (s *Supervisor) add(key Key, cfg schema.WorkerCamera) {
	var before <-chan struct{}
	if old, ok := s.ending[key]; ok {
		before = old.done
	}
	s.slots[key] = startSlot(s.o, key, cfg, before)
}

// remove lets a camera finish. The caller holds mu.
func (s *Supervisor) remove(key Key, sl *slot) {
	delete(s.slots, key)
	s.ending[key] = sl
	sl.cancel()
	go func() {
		<-sl.done
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ending[key] == sl {
			delete(s.ending, key)
			if _, again := s.slots[key]; !again && s.o.Gone != nil {
				s.o.Gone(key)
			}
		}
	}()
}

// Close ends all cameras, at the same time, and waits for them until ctx is
// done; the error then names those that have not finished.
func (s *Supervisor) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	all := map[Key]*slot{}
	for key, sl := range s.ending {
		all[key] = sl
	}
	for key, sl := range s.slots {
		sl.cancel()
		all[key] = sl
	}
	s.mu.Unlock()
	var late []string
	for key, sl := range all {
		select {
		case <-sl.done:
		case <-ctx.Done():
			late = append(late, key.String())
		}
	}
	if late != nil {
		slices.Sort(late)
		return fmt.Errorf("these cameras have not finished in time: %s", strings.Join(late, ", "))
	}
	return nil
}

// view is the live view of a camera, or nil.
func (s *Supervisor) view(key Key) http.Handler {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sl, ok := s.slots[key]; ok {
		return sl.view
	}
	return nil
}

// Report is what is said of one camera by /healthz.
type Report struct {
	Site   string `json:"site"`
	Camera string `json:"camera"`
	Health
	Restarts int `json:"restarts"`
}

// Health is what a Camera says of itself. Reason tells why it is not healthy:
// not the camera's mood (one that is away is healthy), but work that is not done.
type Health struct {
	State   string    `json:"state"` // an archive.State, or failed
	Since   time.Time `json:"since,omitzero"`
	Message string    `json:"message,omitempty"` // about State
	Reason  string    `json:"reason,omitempty"`
}

// ready tells whether the camera does what it is there for.
func (h Health) ready() bool {
	return h.Reason == "" && (h.State == string(archive.Live) || h.State == string(archive.Disabled))
}

// Reports are all cameras, sorted.
func (s *Supervisor) Reports() []Report {
	s.mu.Lock()
	all := make([]*slot, 0, len(s.slots))
	for _, sl := range s.slots {
		all = append(all, sl)
	}
	s.mu.Unlock()
	reports := make([]Report, 0, len(all))
	for _, sl := range all {
		reports = append(reports, sl.report())
	}
	slices.SortFunc(reports, func(a, b Report) int {
		return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Camera, b.Camera))
	})
	return reports
}

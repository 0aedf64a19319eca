package live

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"camfleet.dev/workers/media"
)

// queueLength is how many units an output may be behind: some seconds.
const queueLength = 512

// generationLength is in base32 characters: enough that no player meets one twice.
const generationLength = 10

// event is a unit; fresh says that a session begins at or before it.
type event struct {
	unit  media.Unit
	fresh bool
}

// output is one run of the LL-HLS muxer. Its goroutine owns the muxer's writing
// side; HTTP requests read under mu.
type output struct {
	o      Options
	tracks []media.Track
	gen    string
	queue  chan event
	quit   chan struct{} // closed by end
	done   chan struct{} // closed when run has returned

	endOnce sync.Once
	behind  bool         // owned by push: units are dropped until a key frame
	fresh   bool         // owned by push: the next unit begins a session
	reorder atomic.Int64 // nanoseconds that a frame is shown after it is decoded, at most
	pending atomic.Int64 // units that were pushed and are not written yet

	mu      sync.RWMutex // between writing units and rendering answers
	muxer   *muxer
	over    bool // muxer must not be asked any more
	posMu   sync.Mutex
	pos     position
	ready   bool          // the first playlist can be made
	changed chan struct{} // closed and replaced when pos or ready changes
}

func newOutput(o Options, tracks []media.Track) (*output, error) {
	m, err := newMuxer(o, tracks)
	if err != nil {
		return nil, err
	}
	return &output{
		o: o, tracks: tracks, muxer: m,
		gen:     rand.Text()[:generationLength],
		queue:   make(chan event, queueLength),
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
	}, nil
}

// session notes that the next unit begins a session. The caller holds the Stream's lock.
func (out *output) session() { out.fresh = true }

// push hands u to the output's goroutine and never blocks. The caller holds the Stream's lock.
func (out *output) push(u media.Unit) {
	key := u.Random && u.Track == 0
	if out.behind && !key {
		return
	}
	out.pending.Add(1)
	select {
	case out.queue <- event{unit: u, fresh: out.fresh}:
		out.behind, out.fresh = false, false
	default:
		out.pending.Add(-1)
		if !out.behind {
			out.o.Log.Warn("live view is behind: frames are left out until the next key frame")
		}
		out.behind = true
	}
}

// end asks the output to end; done says when it has.
func (out *output) end() { out.endOnce.Do(func() { close(out.quit) }) }

// run is the output's goroutine: it writes kept and what comes after, until
// expired (asked on every tick, and after a failure) or end.
func (out *output) run(kept []media.Unit, expired func(out *output, failed bool) bool) {
	defer close(out.done)
	defer out.close()
	out.o.Log.Info("live view starts", "kept", len(kept))
	go out.awaitContent()
	err := out.loop(kept, func() bool { return expired(out, false) })
	if err != nil {
		out.o.Log.Warn("live view failed; it starts again when it is asked for", "error", err)
		expired(out, true)
		return
	}
	out.o.Log.Info("live view ends")
}

// close ends the muxer, which wakes awaitContent. A muxer that panicked may
// hold its own lock: it is left to the garbage collector.
func (out *output) close() {
	out.mu.Lock()
	defer out.mu.Unlock()
	if !out.over {
		out.over = true
		out.muxer.Close()
	}
}

func (out *output) loop(kept []media.Unit, expired func() bool) error {
	for _, u := range kept {
		if err := out.write(event{unit: u}); err != nil {
			return err
		}
	}
	tick := time.NewTicker(out.o.Tick)
	defer tick.Stop()
	for {
		select {
		case e := <-out.queue:
			err := out.write(e)
			out.pending.Add(-1)
			if err != nil {
				return err
			}
		case <-tick.C:
			if expired() {
				return nil
			}
		case <-out.quit:
			return nil
		}
	}
}

// write muxes one event. A panic in the muxer ends this output only.
func (out *output) write(e event) (err error) {
	out.mu.Lock()
	defer out.mu.Unlock()
	defer func() {
		if r := recover(); r != nil {
			out.over = true
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if e.fresh {
		out.muxer.session()
	}
	if err := out.muxer.write(e.unit); errors.Is(err, errSkip) {
		out.o.Log.Debug("live view", "error", err)
	} else if err != nil {
		return err
	}
	if e.unit.Track == 0 {
		out.reorder.Store(int64(out.muxer.reorder()))
		out.advance()
	}
	return nil
}

// awaitContent waits until gohlslib has a first segment: its handler blocks until then, or Close.
func (out *output) awaitContent() {
	if a := out.ask("index.m3u8", ""); a.status != http.StatusOK {
		return
	}
	out.mu.RLock()
	defer out.mu.RUnlock()
	if out.over {
		return
	}
	out.posMu.Lock()
	out.ready = true
	out.posMu.Unlock()
	out.advance()
}

// advance reads how far the video playlist has come and wakes who waits for it.
func (out *output) advance() {
	out.posMu.Lock()
	defer out.posMu.Unlock()
	if !out.ready {
		return
	}
	a := out.ask(videoPlaylist, "")
	pos, err := readPosition(a.body.Bytes())
	if err != nil {
		out.o.Log.Error("live view: reading the playlist", "error", err)
		return
	}
	if pos == out.pos {
		return
	}
	out.pos = pos
	close(out.changed)
	out.changed = make(chan struct{})
}

func (out *output) isReady() bool {
	out.posMu.Lock()
	defer out.posMu.Unlock()
	return out.ready
}

// until waits for ok to hold: true when it does, false when ctx is done. An
// output that ends meanwhile gives errEnded.
func (out *output) until(ctx context.Context, ok func(pos position, ready bool) bool) (bool, error) {
	for {
		out.posMu.Lock()
		pos, ready, changed := out.pos, out.ready, out.changed
		out.posMu.Unlock()
		if ok(pos, ready) {
			return true, nil
		}
		select {
		case <-changed:
		case <-out.done:
			return false, errEnded
		case <-ctx.Done():
			return false, nil
		}
	}
}

var errEnded = errors.New("the live view has ended")

// render asks gohlslib for what is known to be there.
func (out *output) render(name, query string) *answer {
	out.mu.RLock()
	defer out.mu.RUnlock()
	if out.over {
		return &answer{}
	}
	return out.ask(name, query)
}

// playlist renders a playlist, which is never cached.
func (out *output) playlist(name, query string) *answer {
	a := out.render(name, query)
	body := withHoldBack(a.body.Bytes(), time.Duration(out.reorder.Load()))
	a.body.Reset()
	a.body.Write(body)
	a.header.Set("Cache-Control", "no-store")
	return a
}

func (out *output) ask(name, query string) *answer {
	a := &answer{header: http.Header{}}
	out.muxer.Handle(a, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/" + name, RawQuery: query}})
	return a
}

package clock

import (
	"context"
	"sync"
	"time"
)

// Fake is a clock that stands still until it is moved.
type Fake struct {
	mu      sync.Mutex
	now     time.Time
	waiting map[*waiter]bool
	calls   int
	changed chan struct{} // closed when waiting changes
}

type waiter struct {
	at time.Time
	c  chan time.Time
}

var _ Clock = (*Fake)(nil)

// NewFake is a clock that shows now.
func NewFake(now time.Time) *Fake {
	return &Fake{now: now, waiting: map[*waiter]bool{}, changed: make(chan struct{})}
}

// Now is the time that the clock shows.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// After waits until the clock has been moved by d.
func (f *Fake) After(d time.Duration) (<-chan time.Time, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &waiter{at: f.now.Add(d), c: make(chan time.Time, 1)}
	f.waiting[w] = true
	f.calls++
	f.notify()
	f.fire()
	return w.c, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.waiting, w)
		f.notify()
	}
}

// Advance moves the clock; everything that is due then goes on.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	f.fire()
}

// Waiting waits until n callers wait for the clock: everybody has come to rest.
func (f *Fake) Waiting(ctx context.Context, n int) error {
	for {
		f.mu.Lock()
		got, changed := len(f.waiting), f.changed
		f.mu.Unlock()
		if got == n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Calls is how often After was called: whoever calls it once more has done
// what there was to do.
func (f *Fake) Calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// Next is how long it takes until somebody is due; false when nobody waits.
func (f *Fake) Next() (time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var next time.Duration
	found := false
	for w := range f.waiting {
		if d := w.at.Sub(f.now); !found || d < next {
			next, found = d, true
		}
	}
	return next, found
}

func (f *Fake) fire() {
	for w := range f.waiting {
		if !w.at.After(f.now) {
			w.c <- f.now
			delete(f.waiting, w)
			f.notify()
		}
	}
}

func (f *Fake) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

package hook

import (
	"sync"
	"sync/atomic"
	"time"
)

// waker turns any number of calls into few, and never loses the last one:
// after a call there is always a wake that begins later than it.
type waker struct {
	mu      sync.Mutex
	full    time.Time // when there are burst wakes to spend again
	waiting bool      // a timer will wake
	wakes   atomic.Uint64
}

// call wakes now or, when too many calls came before, a moment later.
func (w *waker) call(wake func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting {
		return // its turn is still to come
	}
	now := time.Now()
	if at := w.full.Add(-(burst - 1) * every); at.After(now) {
		w.waiting = true
		time.AfterFunc(at.Sub(now), func() { w.fire(wake) })
		return
	}
	w.wake(now, wake)
}

func (w *waker) fire(wake func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = false // from here on a call needs another wake
	w.wake(time.Now(), wake)
}

// wake is called with the lock, so that a call that it would not cover waits for it.
func (w *waker) wake(now time.Time, wake func()) {
	if w.full.Before(now) {
		w.full = now
	}
	w.full = w.full.Add(every)
	w.wakes.Add(1)
	wake()
}

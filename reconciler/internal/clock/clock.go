// Package clock is time as the reconciler sees it, so that tests can move it.
package clock

import (
	"context"
	"time"
)

// Clock tells the time and waits.
type Clock interface {
	Now() time.Time
	// After is a channel that gets a value once d has passed, and a function
	// that gives its resources back.
	After(d time.Duration) (<-chan time.Time, func())
}

// Real is the machine's clock.
type Real struct{}

var _ Clock = Real{}

// Now is the wall-clock time.
func (Real) Now() time.Time { return time.Now() }

// After is time.NewTimer.
func (Real) After(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// Sleep waits for d; it returns false when ctx ended first.
func Sleep(ctx context.Context, c Clock, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	done, stop := c.After(d)
	defer stop()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

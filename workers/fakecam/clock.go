package fakecam

import (
	"context"
	"time"
)

// Clock is the time that cameras are paced by.
type Clock interface {
	Now() time.Time
	// SleepUntil returns nil at t, or at once when t has passed; or ctx's error.
	SleepUntil(ctx context.Context, t time.Time) error
}

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) SleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

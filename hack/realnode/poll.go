package realnode

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// every is how often something is looked at that is waited for.
const every = 100 * time.Millisecond

// final is an error after which waiting makes no sense.
type final struct{ error }

func stop(err error) error { return final{err} }

// poll waits until check has no error.
func poll(ctx context.Context, what string, check func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		last := check(ctx)
		var end final
		switch {
		case last == nil:
			return nil
		case errors.As(last, &end):
			return fmt.Errorf("waiting until %s: %w", what, end.error)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w; last: %w", what, ctx.Err(), last)
		}
	}
}

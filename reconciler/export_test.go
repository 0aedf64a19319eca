package reconciler

import "context"

// Rest waits until the loop has nothing to do, and everything is told.
func (r *Reconciler) Rest(ctx context.Context) error {
	r.prepare()
	if err := r.ask(ctx, true); err != nil {
		return err
	}
	told := make(chan struct{})
	r.teller.later(func() { close(told) })
	select {
	case <-told:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

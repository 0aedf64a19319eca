package cluster

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// replace makes a Pod anew, because most of a Pod cannot be changed. The old
// one goes only when the API server has said that it would take the new one;
// the camera is dark from then on until the new one runs.
//
// Who ends ctx may do so until the old one is gone; then the new one is made
// all the same, because nobody can say how long it takes until the next plan.
// A crash in between leaves the camera without a Pod: the next plan creates it.
func (t taker) replace(ctx context.Context) error {
	if err := t.mayReplace(ctx); err != nil {
		return fmt.Errorf("the old Pod stays: %w", err)
	}
	if err := t.remove(ctx); err != nil {
		return fmt.Errorf("replacing the Pod: %w", err)
	}
	ctx, cancel := outlive(ctx, lastMoment)
	defer cancel()
	if err := t.createAfter(ctx); err != nil {
		return fmt.Errorf("the old Pod is gone, and the new one is not there: %w", err)
	}
	return nil
}

// lastMoment is for finishing what must not be left half done.
const lastMoment = 10 * time.Second

// outlive returns a context that ends some time after ctx.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(by)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-out.Done():
		}
	})
	return out, func() { stop(); cancel() }
}

// rehearse asks the API server to create the new Pod under another name,
// without doing it. Any answer but yes keeps the old one.
func (t taker) rehearse(ctx context.Context) error {
	next, err := t.body()
	if err != nil {
		return err
	}
	next.SetName(next.GetName() + "-rehearsal")
	err = t.retry(ctx, func(ctx context.Context) error {
		_, err := t.api.Create(ctx, next, metav1.CreateOptions{
			DryRun: []string{metav1.DryRunAll}, FieldManager: manager, FieldValidation: metav1.FieldValidationStrict,
		})
		return err
	})
	if exceedsQuota(err) {
		if t.fitsInPlace(ctx, err) {
			return nil
		}
		return said("a quota has no room for a second one beside it, which is how it is tried, and it is not sure that there is room "+
			"for the new one in place of the old one: raise the quota by one Pod, or delete the old one yourself", err)
	}
	return said("the new one would be refused", err)
}

package cluster

import (
	"context"
	"fmt"

	"camfleet.dev/reconciler/engine"
)

var _ engine.Rehearser = (*Cluster)(nil)

// Rehearse implements engine.Rehearser: the API server is asked to create the new
// Pod under another name, without doing it.
func (c *Cluster) Rehearse(ctx context.Context, step engine.Step) error {
	t, _, err := c.taker(step)
	if err != nil {
		return err
	}
	if err := t.mayReplace(ctx); err != nil {
		return fmt.Errorf("the old Pod stays: %w", err)
	}
	return nil
}

// taker is who takes a step, and the kind of its object.
func (c *Cluster) taker(step engine.Step) (taker, Kind, error) {
	w := c.current()
	if w == nil {
		return taker{}, Kind{}, fmt.Errorf("applying %s: nothing was listed yet", step.ID())
	}
	k, err := kind(c.kinds(), step.ID())
	if err != nil {
		return taker{}, Kind{}, err
	}
	t := taker{Cluster: c, watch: w, step: step, api: c.Client.Resource(k.resource())}
	if ns := step.ID().Namespace; ns != "" {
		t.api = c.Client.Resource(k.resource()).Namespace(ns)
	}
	return t, k, nil
}

// mayReplace tells whether the API server would take the new Pod. It is asked
// once: the engine may have done so before it changed the Pod's configuration.
func (t taker) mayReplace(ctx context.Context) error {
	if err := t.open(); err != nil || t.step.Rehearsed {
		return err
	}
	return t.rehearse(ctx)
}

package engine

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Applier takes the steps of a plan.
type Applier struct {
	Cluster Cluster
	// Parallel is how many steps of one phase may run at once; 0 means one.
	Parallel int
	// Done, if set, is told of each step that was taken, in any order and
	// from any goroutine: for a progress bar.
	Done func(Change)
}

// The phases, in order. Deletions run in the opposite order of creations, so
// that a camera's Pod never outlives its configuration.
const (
	phaseNamespaces = iota
	phaseStorageAndConfig
	phaseWorkloads
	phasePods
	phaseDeletePods
	phaseDeleteWorkloads
	phaseDeleteRest
	phases
)

func phaseOf(c Change) int {
	phase := phaseStorageAndConfig
	switch c.Kind {
	case "Namespace":
		phase = phaseNamespaces
	case "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job":
		phase = phaseWorkloads
	case "Pod":
		phase = phasePods
	}
	if c.Action == Deleted {
		return min(phaseDeletePods+phasePods-phase, phaseDeleteRest)
	}
	return phase
}

// Apply takes the steps of plan, phase by phase, and returns what came of
// them. A step that fails stops nothing else; it is Failed in the result, with
// the error as its reason. When ctx ends, what has not been done is Failed.
func (a Applier) Apply(ctx context.Context, plan ChangeSet) ChangeSet {
	out := plan
	out.Changes = slices.Clone(plan.Changes)
	var byPhase [phases][]*Change
	for i := range out.Changes {
		if c := &out.Changes[i]; c.Action.effect() {
			byPhase[phaseOf(*c)] = append(byPhase[phaseOf(*c)], c)
		}
	}
	for _, changes := range byPhase {
		var group errgroup.Group
		group.SetLimit(max(1, a.Parallel))
		for _, c := range changes {
			group.Go(func() error {
				a.take(ctx, c)
				return nil
			})
		}
		_ = group.Wait() // failures are in the changes
	}
	return out
}

func (a Applier) take(ctx context.Context, c *Change) {
	err := ctx.Err()
	if err == nil {
		err = a.Cluster.Apply(ctx, c.step)
	} else {
		err = fmt.Errorf("not done: %w", err)
	}
	if err != nil {
		*c = c.failed()
		c.Reason = err.Error()
	}
	if a.Done != nil {
		a.Done(*c)
	}
}

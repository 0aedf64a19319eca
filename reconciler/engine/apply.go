package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Applier takes the steps of a plan.
type Applier struct {
	Cluster Cluster
	// Parallel is how many steps may run at once; 0 means one. Of the steps
	// that mostly wait for a Pod's end there may be four times as many besides.
	Parallel int
	// Done, if set, is told of each step that was taken, in any order and
	// from any goroutine: for a progress bar.
	Done func(Change)
}

// The phases of a site, in order. Deletions run in the opposite order of
// creations, so that a camera's Pod never outlives its configuration.
const (
	phaseNamespaces = iota
	phaseStorageAndConfig
	phaseWorkloads
	phasePods
	phaseRehearse // of Pods that are replaced with other configuration
	phaseMove     // that configuration
	phaseReplacePods
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
	switch {
	case c.Action == Deleted && phase == phasePods:
		return phaseDeletePods
	case c.Action == Deleted && phase == phaseWorkloads:
		return phaseDeleteWorkloads
	case c.Action == Deleted:
		return phaseDeleteRest
	case c.Action == Replaced && phase == phasePods:
		return phaseReplacePods
	}
	return phase
}

// slow tells whether the steps of a phase mostly wait, for Pods to end.
func slow(phase int) bool { return phase == phaseReplacePods || phase == phaseDeletePods }

// Apply takes the steps of plan and returns what came of them. The sites go
// ahead beside each other, each phase by phase. A step that fails stops nothing
// but what cannot be without it; it is Failed in the result, with the error as
// its reason. When ctx ends, what has not been done is Failed.
func (a Applier) Apply(ctx context.Context, plan ChangeSet) ChangeSet {
	out := plan
	out.Changes = slices.Clone(plan.Changes)
	rehearser, _ := a.Cluster.(Rehearser)
	schedule(out.Changes, max(1, a.Parallel), rehearser != nil, func(phase int, c *Change, l *lane) {
		if phase == phaseRehearse {
			a.rehearse(ctx, rehearser, c, l)
		} else if c.Action.effect() { // its rehearsal may have failed
			a.take(ctx, phase, c, l)
		}
	})
	return out
}

// take takes one step, unless something that it needs is not there.
func (a Applier) take(ctx context.Context, phase int, c *Change, l *lane) {
	err := l.blocked(*c)
	if err == nil && phase == phaseMove {
		err = l.refused(*c)
	}
	switch {
	case errors.Is(err, errNotYet):
		*c = c.wait(err.Error())
	case err != nil:
		a.failed(c, l, fmt.Errorf("not tried: %w", err))
	case ctx.Err() != nil:
		a.failed(c, l, fmt.Errorf("not done, as it was interrupted: %w", context.Cause(ctx)))
	default:
		if err := a.Cluster.Apply(ctx, c.step); err != nil {
			a.failed(c, l, err)
		}
	}
	a.done(*c)
}

// rehearse asks whether a Pod would be replaced, before its configuration is
// changed. When it cannot even be asked, the steps themselves say why.
func (a Applier) rehearse(ctx context.Context, with Rehearser, c *Change, l *lane) {
	if ctx.Err() != nil || l.blocked(*c) != nil {
		return
	}
	if err := with.Rehearse(ctx, c.step); err != nil {
		a.failed(c, l, err)
		l.refuse(*c)
		a.done(*c)
		return
	}
	c.step.Rehearsed = true
}

func (a Applier) done(c Change) {
	if a.Done != nil {
		a.Done(c)
	}
}

func (a Applier) failed(c *Change, l *lane, err error) {
	*c = c.failed()
	c.Reason = printable(Redact(err.Error()))
	l.failed(*c, errNotApplied)
}

package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
)

// LeadOptions are for Lead. Client, Namespace, Name and Identity must be set.
type LeadOptions struct {
	// Client renews the lease: one without the Guard in front of it.
	Client          *Client
	Namespace, Name string
	// Identity is this process, and no other that runs: its Pod's name.
	Identity string
	// Lease is how long a leader that does not answer keeps the others
	// waiting, in whole seconds, at least 2; 0 means 15 s. It is renewed every
	// sixth of it, and given up after two thirds without an answer.
	Lease time.Duration
	// Guard, if set, lets a client write while the lease is held.
	Guard *Guard
	// NewLeader, if set, is told who leads whenever that changes.
	NewLeader func(identity string)
	Log       *slog.Logger
}

const (
	defaultLease = 15 * time.Second
	leastLease   = 2 * time.Second
)

// Lead calls run while this process leads, again and again if need be, until
// ctx ends or run returns by itself. The context of run ends when the lease is
// lost, and Lead stands by again once run has returned. When ctx ends, the
// lease is given back after run has returned, so that another process need not
// wait for it to run out.
func Lead(ctx context.Context, o LeadOptions, run func(ctx context.Context) error) error {
	if err := o.prepare(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		over, err := o.campaign(ctx, run)
		if over || err != nil {
			return err
		}
		o.Log.Warn("the lease was lost; standing by", "identity", o.Identity)
	}
	return nil
}

func (o *LeadOptions) prepare() error {
	if o.Lease == 0 {
		o.Lease = defaultLease
	}
	if o.Lease < leastLease || o.Lease%time.Second != 0 {
		return fmt.Errorf("a lease is whole seconds, at least %s, not %s", leastLease, o.Lease)
	}
	if o.Identity == "" || o.Namespace == "" || o.Name == "" {
		return errors.New("who leads needs an identity, and the lease a namespace and a name")
	}
	if o.Guard == nil {
		o.Guard = &Guard{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// campaign waits for the lease, and runs while it is held. It returns true
// when run ended by itself, or ctx did.
func (o *LeadOptions) campaign(ctx context.Context, run func(context.Context) error) (bool, error) {
	// The elector must outlive ctx: it renews until run has returned.
	electing, stop := context.WithCancel(klog.NewContext(context.WithoutCancel(ctx), klog.Logger{}))
	defer stop()
	lock := newLock(o)
	result := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lock, Name: o.Name, ReleaseOnCancel: true,
		LeaseDuration: o.Lease, RenewDeadline: o.deadline(), RetryPeriod: o.Lease / 6,
		Callbacks: leaderelection.LeaderCallbacks{
			OnNewLeader:      o.NewLeader,
			OnStoppedLeading: func() {},
			OnStartedLeading: func(context.Context) {
				result <- o.lead(ctx, run)
				o.Guard.drop() // before the lease is given back
				stop()
			},
		},
	})
	if err != nil {
		return false, fmt.Errorf("standing for leader: %w", err)
	}
	standing := context.AfterFunc(ctx, func() {
		if !lock.won.Load() {
			stop()
		}
	})
	defer standing()
	elector.Run(electing)
	lost := electing.Err() == nil
	o.Guard.drop()
	if !lock.won.Load() {
		return true, nil // ctx ended first
	}
	err = <-result
	if lost || errors.Is(err, errLost) {
		return ctx.Err() != nil, nil
	}
	return true, err
}

var errLost = errors.New("the lease was lost")

// lead runs until ctx, the lease or run itself ends.
func (o *LeadOptions) lead(ctx context.Context, run func(context.Context) error) error {
	term, err := o.Guard.current()
	if err != nil || ctx.Err() != nil {
		return errLost // it was held, and is not any more
	}
	o.Log.Info("this replica leads", "identity", o.Identity)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(term, func() { cancel(errLost) })()
	err = run(ctx)
	if term.Err() != nil {
		return errLost
	}
	return err
}

// deadline is how long after its last renewal a lease is given up.
func (o *LeadOptions) deadline() time.Duration { return o.Lease * 2 / 3 }

func newLock(o *LeadOptions) *lock {
	return &lock{
		options: o,
		LeaseLock: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}, Client: o.Client.Leases, Labels: labels(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: o.Identity},
		},
	}
}

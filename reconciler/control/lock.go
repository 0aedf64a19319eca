package control

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// lock is client-go's lease, which tells the Guard of every renewal.
type lock struct {
	*resourcelock.LeaseLock
	options *LeadOptions
	won     atomic.Bool // it was ours at some time

	// Of the elector's goroutine.
	holder string // as last read or written
	said   string // the last error that was logged
}

var _ resourcelock.Interface = (*lock)(nil)

// Get reads the lease. Another holder ends our term at once.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	ctx, cancel := l.timeout(ctx)
	defer cancel()
	record, raw, err := l.LeaseLock.Get(ctx)
	if err == nil {
		if l.holder = record.HolderIdentity; l.holder != l.Identity() {
			l.options.Guard.drop()
		}
	}
	return record, raw, l.tell("read", err)
}

// Create makes the lease, which is ours then.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.LeaseLock.Create)
}

// errTaken is why a lease is not given back: it is not ours.
var errTaken = errors.New("the lease is somebody else's by now")

// Update renews the lease, takes it, or gives it back.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	// Client-go reads the lease before it gives it back, and then writes without
	// looking whose it is: the new leader would lose it.
	if record.HolderIdentity == "" && l.holder != l.Identity() {
		return errTaken
	}
	return l.write(ctx, record, l.LeaseLock.Update)
}

func (l *lock) write(ctx context.Context, record resourcelock.LeaderElectionRecord,
	do func(context.Context, resourcelock.LeaderElectionRecord) error,
) error {
	ctx, cancel := l.timeout(ctx)
	defer cancel()
	sent := l.options.Guard.clock() // others count from later than this
	err := do(ctx, record)
	if err == nil {
		l.holder = record.HolderIdentity
		if l.holder == l.Identity() {
			l.options.Guard.renewed(sent, l.options.deadline())
			l.won.Store(true)
		}
	}
	return l.tell("written", err)
}

// timeout lets one request that gets no answer not take all the time there is
// for renewing.
func (l *lock) timeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, max(l.options.deadline()/3, 500*time.Millisecond))
}

// tell logs an error of a kind once. That there is no lease yet, or that another
// was faster, is part of the game.
func (l *lock) tell(what string, err error) error {
	if err == nil {
		l.said = ""
		return nil
	}
	if apierrors.IsNotFound(err) && what == "read" || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || errors.Is(err, context.Canceled) {
		return err
	}
	if text := fmt.Sprintf("the lease cannot be %s: %v", what, err); text != l.said {
		l.said = text
		l.options.Log.Warn(text, "lease", l.Describe())
	}
	return err
}

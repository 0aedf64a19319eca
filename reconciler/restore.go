package reconciler

import (
	"context"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/source"
)

// lastCompiled is the commit that the target followed last, and what was made of it.
type lastCompiled struct {
	commit *source.Commit // nil when there is none
	result *object.Result
}

// mayRestore tells whether the commit of before is to be read: nothing was read
// in this run, because the newest commit is refused or held, or the source does
// not answer. Whoever can push must not be able to end the healing with that.
func (l *loop) mayRestore() bool {
	_, able := l.Source.(commits)
	return able && !l.once && l.newest == nil && l.fetchErr != nil && l.noted && l.book.now().Last != "" &&
		!l.restoring && l.restoreTry.failures < maxRecall
}

// restore goes on with the commit that was followed before the restart. The
// source verifies it again: a key that is not listed any more counts no more.
func (l *loop) restore() {
	l.restoring = true
	hash := l.book.now().Last
	l.child(l.ctx, func(ctx context.Context) func() {
		c, err := l.fetchCommit(ctx, hash)
		return func() { l.restored(hash, c, err) }
	})
}

func (l *loop) restored(hash string, c *source.Commit, err error) {
	l.restoring = false
	if l.newest != nil {
		return // a good one came meanwhile
	}
	if err == nil {
		l.Log.Info("healing goes on with the commit of before", "commit", short(hash))
		l.newest, l.compileTry = c, retry{}
		l.showUnhealed("")
		return
	}
	// A source that does not answer says nothing against a commit that this
	// process has verified, in a run before this one.
	if k := l.kept; k.commit != nil && k.commit.Hash == hash && !answered(err) {
		l.Log.Info("healing goes on with the commit of before, from memory", "commit", short(hash))
		l.newest, l.compiled = k.commit, k.commit
		l.showUnhealed("")
		l.retarget(k.commit, k.result)
		return
	}
	l.restoreTry.failed(l.Clock.Now(), l.Interval)
	l.Log.Warn("the commit of before cannot be read; everything stays as it is, and nothing is healed", "commit", short(hash), "error", err)
	l.showUnhealed("nothing is healed until a commit can be read: commit " + short(hash) + ", which was applied last, cannot be read again: " + err.Error())
}

package reconciler

import (
	"context"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/source"
)

// compilation is one that is under way.
type compilation struct {
	commit *source.Commit
	cancel context.CancelFunc
}

func (l *loop) mayCompile() bool {
	return l.compiling == nil && l.newest != nil && l.newest != l.compiled && !(l.once && l.compileTry.failures > 0)
}

// stopCompiling stops the compilation of what is not the newest commit any
// more: it may be a bomb that takes a minute to burst. Of two in a row one is
// left to end, so that pushes without a pause do not keep everything back.
func (l *loop) stopCompiling() {
	if l.compiling != nil && !l.stopped {
		l.stopped = true
		l.compiling.cancel()
	}
}

func (l *loop) compile() {
	commit, began := l.newest, l.Clock.Now()
	ctx, cancel := context.WithCancel(l.ctx)
	l.compiling = &compilation{commit: commit, cancel: cancel}
	l.child(ctx, func(ctx context.Context) func() {
		result, err := l.Compile(ctx, commit.FS)
		stopped := ctx.Err() != nil
		cancel()
		return func() {
			l.compiling = nil
			if stopped {
				return
			}
			l.stopped = false
			l.compileDone(commit, result, err, l.Clock.Now().Sub(began))
		}
	})
}

// compileDone takes up what came of a compilation. A commit that cannot be
// compiled leaves everything as it is; the one before goes on being healed.
func (l *loop) compileDone(commit *source.Commit, result *object.Result, err error, took time.Duration) {
	hash := short(commit.Hash)
	was := l.showCompile(err)
	l.metrics.compiled(l.Clock.Now(), took, err)
	if err != nil {
		if commit == l.newest {
			l.compileTry.failed(l.Clock.Now(), retryFirst)
		}
		if was != err.Error() {
			l.Log.Error("the commit cannot be compiled; everything stays as it is", "commit", hash, "error", err)
		}
		return
	}
	for _, p := range result.Problems {
		l.Log.Error("a problem in the commit; what it touches stays as it is", "commit", hash, "problem", p.Error())
	}
	for _, w := range result.Warnings {
		l.Log.Warn("a warning for the commit", "commit", hash, "warning", w.Error())
	}
	l.Log.Info("compiled", "commit", hash, "objects", len(result.Objects), "problems", len(result.Problems),
		"took", took.Round(time.Millisecond))
	slim := *commit
	slim.FS = nil // it is not read again, and may be large
	if l.newest == commit {
		l.newest = &slim
	}
	l.compiled = &slim
	l.retarget(&slim, result)
}

// retarget makes a compiled commit the target, and interrupts the sync of the
// one before: it may be waiting for something that nobody wants any more.
func (l *loop) retarget(commit *source.Commit, result *object.Result) {
	l.keepGood(commit, result)
	l.target = l.newTarget(commit, result)
	l.kept = lastCompiled{commit, result}
	l.troubles, l.right, l.heldTold = troubles{}, map[object.ID]bool{}, map[object.ID]string{}
	l.listTry, l.recallTry = retry{}, retry{}
	if l.Targeted != nil {
		l.teller.later(func() { l.Targeted(result) })
	}
	l.interrupt()
	l.sync.by(l.Clock.Now())
}

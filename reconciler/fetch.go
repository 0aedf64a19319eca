package reconciler

import (
	"cmp"
	"context"
	"errors"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

// fetchTimeout bounds one look at the source.
const fetchTimeout = 2 * time.Minute

func (l *loop) mayFetch() bool { return !l.fetching && !(l.once && l.fetched) }

// woken looks at the source now, or again once the look under way has ended:
// that one may have come too early to see what the call was about.
func (l *loop) woken() {
	l.poll.at = time.Time{}
	l.again = l.fetching
	if l.listTry.failures > 0 {
		l.listTry.at = time.Time{}
		l.sync.by(l.Clock.Now())
	}
}

func (l *loop) fetch() {
	l.fetching, l.again = true, false
	have := ""
	if l.newest != nil {
		have = l.newest.Hash
	}
	l.child(l.ctx, func(ctx context.Context) func() {
		timed, cancel := context.WithTimeout(ctx, fetchTimeout)
		defer cancel()
		release, err := l.takeSource(timed)
		if err != nil {
			return func() { l.fetchDone(nil, err) }
		}
		defer release()
		c, err := l.Source.Fetch(timed, have)
		return func() { l.fetchDone(c, err) }
	})
}

// takeSource waits for the source to be free: one goroutine at a time uses it.
func (l *loop) takeSource(ctx context.Context) (release func(), err error) {
	select {
	case l.source <- struct{}{}:
		return func() { <-l.source }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *loop) fetchDone(c *source.Commit, err error) {
	now := l.Clock.Now()
	l.fetching, l.fetched = false, true
	was := l.showFetch(now, err)
	l.metrics.fetched(err)
	if err != nil {
		message := "the repository cannot be read; everything stays as it is"
		if l.poll.failed(now, l.Interval); answered(err) {
			l.poll = retry{at: now.Add(early(l.Interval))} // its next commit may be better
			message = "the newest commit is not taken; everything stays as it is"
		}
		if was != err.Error() {
			l.Log.Error(message, "error", err)
		}
	} else {
		l.poll = retry{at: now.Add(early(l.Interval))}
		if was != "" {
			l.Log.Info("the repository can be read again")
		}
	}
	if l.again {
		l.poll.at = time.Time{}
	}
	if l.fetchErr != nil && err != nil && l.fetchErr.Error() != err.Error() {
		l.restoreTry = retry{}
	}
	if l.fetchErr = err; err != nil || c == nil {
		return
	}
	l.Log.Info("a new commit", "commit", short(c.Hash), "subject", c.Subject)
	l.newest, l.compileTry = c, retry{}
	l.stopCompiling()
}

// answered tells whether the repository answered, with a commit that is refused.
func answered(err error) bool {
	var unverified *source.UnverifiedError
	var refused *source.RefusedError
	return errors.As(err, &unverified) || errors.As(err, &refused)
}

// refused are the problems of a commit that the source refuses as a whole. What
// is wrong with no file in particular has the commit as its place.
func refused(err error) *status.Refused {
	var refusal *source.RefusedError
	if !errors.As(err, &refusal) {
		return nil
	}
	commit := "the newest commit"
	if refusal.Commit != "" {
		commit = "commit " + short(refusal.Commit)
	}
	var problems []object.Problem
	for _, f := range refusal.Files {
		problems = append(problems, object.Problem{Position: object.Position{File: cmp.Or(f.File, commit)}, Message: f.Why})
	}
	return &status.Refused{Commit: refusal.Commit, Problems: problems}
}

// short is a commit's hash as people write it.
func short(hash string) string { return hash[:min(len(hash), 12)] }

package reconciler

import (
	"bytes"
	"cmp"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
)

// teller calls the functions that tell others what happens, one after the
// other, in a goroutine of its own: the loop waits for nobody.
type teller struct {
	mu    sync.Mutex
	queue []func()
	more  chan struct{} // nil while it does not run
	quiet bool          // nothing more is told
}

// run begins telling. The function it returns ends it: when everything is told,
// or, if nobody has to hear the rest, after what is being told now.
func (t *teller) run() (end func(all bool)) {
	more, done := make(chan struct{}, 1), make(chan struct{})
	t.mu.Lock()
	t.more, t.quiet = more, false
	t.mu.Unlock()
	go func() {
		defer close(done)
		for range more {
			t.drain()
		}
		t.drain()
	}()
	return func(all bool) {
		t.mu.Lock()
		t.more = nil
		if !all {
			t.queue, t.quiet = nil, true
		}
		t.mu.Unlock()
		close(more)
		<-done
	}
}

func (t *teller) running() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.more != nil
}

// later tells something after what is to be told already; false when nothing is told any more.
func (t *teller) later(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.more == nil {
		return false
	}
	t.queue = append(t.queue, f)
	signal(t.more)
	return true
}

func (t *teller) drain() {
	for {
		t.mu.Lock()
		if len(t.queue) == 0 || t.quiet {
			t.mu.Unlock()
			return
		}
		next := t.queue[0]
		t.queue[0] = nil // the array outlives it, and a commit hangs on some of these
		t.queue = t.queue[1:]
		t.mu.Unlock()
		next()
	}
}

// tell tells what a sync did.
func (l *loop) tell(set engine.ChangeSet, healed []engine.Change) {
	fresh := l.log(set, healed)
	if l.Synced != nil && (fresh && len(set.Changed().Changes) > 0 || len(effects(set)) > 0) {
		l.teller.later(func() { l.Synced(set) })
	}
	if l.Record == nil {
		return
	}
	for _, c := range l.news(set, healed) {
		l.teller.later(func() { l.Record(c) })
	}
}

// news are the changes that somebody should know of. What is held is told once
// per target and reason: it is planned again with every sync.
func (l *loop) news(set engine.ChangeSet, healed []engine.Change) []engine.Change {
	news := append(only(set, engine.Failed), healed...)
	for _, c := range only(set, engine.Held) {
		if l.heldTold[c.ID] != c.Reason {
			l.heldTold[c.ID] = c.Reason
			news = append(news, c)
		}
	}
	for _, c := range only(set, engine.Replaced) {
		if !slices.ContainsFunc(healed, func(h engine.Change) bool { return h.ID == c.ID }) {
			news = append(news, c)
		}
	}
	return news
}

// mostLogged is how many objects of one sync are named in the log.
const mostLogged = 20

// log says what a sync did, and whether it is anything new: a steady state is
// said once for each commit.
func (l *loop) log(set engine.ChangeSet, healed []engine.Change) bool {
	l.logFailed(only(set, engine.Failed))
	l.logEach(slog.LevelInfo, "put back", healed)
	l.logEach(slog.LevelDebug, "changed", effects(set))
	done, open, summary := len(effects(set)), len(only(set, engine.Failed, engine.Held, engine.Waiting)) > 0, set.Summary()
	said := set.Commit + summary
	if said == l.logged && done == 0 {
		return false
	}
	l.logged = said
	held := map[string]int{} // by reason
	for _, c := range only(set, engine.Held) {
		held[c.Reason]++
	}
	for _, reason := range slices.Sorted(maps.Keys(held)) {
		l.Log.Warn("changes are held", "objects", held[reason], "reason", reason)
	}
	level, message := slog.LevelInfo, "applied"
	switch {
	case done > 0:
	case open:
		message = "nothing can be applied now"
	case l.settled == set.Commit:
		level, message = slog.LevelDebug, "all is as the commit says"
	default:
		message = "all is as the commit says"
	}
	if l.settled = ""; !open {
		l.settled = set.Commit
	}
	l.Log.Log(l.ctx, level, message, "commit", short(set.Commit), "summary", summary)
	return true
}

// logFailed names what failed; when nothing works, it does not name everything.
func (l *loop) logFailed(failed []engine.Change) {
	for _, c := range failed[:min(len(failed), mostLogged)] {
		l.Log.Error("not applied; it is tried again", about(c)...)
	}
	if more := len(failed) - mostLogged; more > 0 {
		l.Log.Error("others were not applied either; the status names them", "objects", more)
	}
}

func (l *loop) logEach(level slog.Level, message string, changes []engine.Change) {
	if !l.Log.Enabled(l.ctx, level) {
		return
	}
	for _, c := range changes[:min(len(changes), mostLogged)] {
		l.Log.Log(l.ctx, level, message, about(c)...)
	}
	if more := len(changes) - mostLogged; more > 0 {
		l.Log.Log(l.ctx, level, message, "others", more)
	}
}

// about is what a line of the log says of a change, without what is empty.
func about(c engine.Change) []any {
	out := []any{"object", c.ID.String()}
	for _, f := range []struct{ key, value string }{
		{"site", c.Site}, {"camera", c.Camera}, {"action", string(cmp.Or(c.Tried, c.Action))}, {"reason", c.Reason},
	} {
		if f.value != "" {
			out = append(out, f.key, f.value)
		}
	}
	return out
}

// publish tells the status, if it has changed since it was last told.
func (r *Reconciler) publish() {
	if r.Published == nil || !r.unpublished.CompareAndSwap(false, true) {
		return // it is told anyway, as it will be then
	}
	told := func() {
		r.unpublished.Store(false)
		s := r.Status()
		if text := telling(s); !bytes.Equal(text, r.shown.told) {
			r.shown.told = text
			r.logWarnings()
			r.Published(s)
		}
	}
	if !r.teller.later(told) {
		r.unpublished.Store(false)
	}
}

// logWarnings says once what the target warns of.
func (r *Reconciler) logWarnings() {
	if r.Warnings == nil {
		return
	}
	now := map[string]bool{}
	for _, w := range r.Warnings() {
		if now[w] = true; !r.shown.warned[w] {
			r.Log.Warn("a warning of the target", "warning", w)
		}
	}
	r.shown.warned = now
}

// telling is a status without when somebody last looked.
func telling(s status.Status) []byte {
	s.Fetched, s.Synced = time.Time{}, time.Time{}
	text, err := json.Marshal(s)
	if err != nil {
		return nil // it is told once more
	}
	return text
}

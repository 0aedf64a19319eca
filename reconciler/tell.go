package reconciler

import (
	"maps"
	"reflect"
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
	busy  bool
}

// run begins telling. The function it returns ends it, when everything is told.
func (t *teller) run() (end func()) {
	more, done := make(chan struct{}, 1), make(chan struct{})
	t.mu.Lock()
	t.more = more
	t.mu.Unlock()
	go func() {
		defer close(done)
		for range more {
			t.drain()
		}
		t.drain()
	}()
	return func() {
		t.mu.Lock()
		t.more = nil
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

func (t *teller) later(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.more == nil {
		return
	}
	t.queue = append(t.queue, f)
	signal(t.more)
}

func (t *teller) drain() {
	for {
		t.mu.Lock()
		queue := t.queue
		t.queue, t.busy = nil, len(queue) > 0
		t.mu.Unlock()
		for _, f := range queue {
			f()
		}
		if len(queue) == 0 {
			return
		}
	}
}

// tell tells what a sync did.
func (l *loop) tell(set engine.ChangeSet, healed []engine.Change) {
	fresh := l.log(set)
	if l.Synced != nil && (fresh && len(set.Changed().Changes) > 0 || len(effects(set)) > 0) {
		l.teller.later(func() { l.Synced(set) })
	}
	if l.Record == nil {
		return
	}
	news := append(only(set, engine.Failed, engine.Held), healed...)
	for _, c := range only(set, engine.Replaced) {
		if !slices.ContainsFunc(healed, func(h engine.Change) bool { return h.ID == c.ID }) {
			news = append(news, c)
		}
	}
	if len(news) > 0 {
		l.teller.later(func() {
			for _, c := range news {
				l.Record(c)
			}
		})
	}
}

// log says what a sync did, and whether it is anything new: a steady state is said once.
func (l *loop) log(set engine.ChangeSet) bool {
	held := map[string]int{} // by reason
	for _, c := range set.Changes {
		switch c.Action {
		case engine.Failed:
			l.Log.Error("not applied; it is tried again", "object", c.ID, "site", c.Site, "camera", c.Camera, "tried", c.Tried, "reason", c.Reason)
		case engine.Held:
			held[c.Reason]++
		case engine.Unchanged:
		default:
			l.Log.Debug(string(c.Action), "object", c.ID, "site", c.Site, "camera", c.Camera, "reason", c.Reason)
		}
	}
	summary := set.Commit + set.Summary()
	if summary == l.logged {
		return false
	}
	l.logged = summary
	for _, reason := range slices.Sorted(maps.Keys(held)) {
		l.Log.Warn("changes are held", "objects", held[reason], "reason", reason)
	}
	l.Log.Info("synced", "commit", short(set.Commit), "summary", set.Summary())
	return true
}

// publish tells the status, if it has changed since it was last told.
func (r *Reconciler) publish() {
	if r.Published == nil {
		return
	}
	r.teller.later(func() {
		s := r.Status()
		if same(s, r.shown.told) {
			return
		}
		r.shown.told = s
		r.Published(s)
	})
}

// same tells whether nothing has changed but when somebody last looked.
func same(a, b status.Status) bool {
	a.Fetched, b.Fetched = time.Time{}, time.Time{}
	a.Synced, b.Synced = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

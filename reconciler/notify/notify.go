// Package notify tells a Git server how a commit fared in a cluster: its
// commit status, the mark beside the commit on the server's pages.
//
//	status.Status ─► FromStatus ─► Notifier.Tell ─► Run ─► POST …/statuses/SHA
//
// Telling never holds the reconciler up: what cannot be sent is kept, the
// newest state of each of a few commits, and sent when the server is back.
package notify

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"camfleet.dev/reconciler/internal/clock"
)

// Level is what a mark says at first sight.
type Level string

// The levels, as GitHub calls them.
const (
	Pending Level = "pending" // it is not done yet, or somebody has to approve
	Success Level = "success" // the cluster is as the commit says
	Failure Level = "failure" // the commit is at fault
	Error   Level = "error"   // something else is
)

// State is how a commit fared.
type State struct {
	Commit      string // its whole hash; a state without one is not told
	Level       Level
	Description string // one line; cut to what servers take
}

// Config says where to tell it.
type Config struct {
	// Kind is github, gitlab, or gitea (Forgejo, too).
	Kind string
	// Repository is the repository's address: https://…, ssh://… or HOST:PATH.
	Repository string
	// API is where the server's API begins, like https://git.example.org/api/v4;
	// empty means where it usually is on the repository's host.
	API string
	// TokenFile holds a token that may write commit statuses, and should be
	// allowed nothing else. It is read anew every time.
	TokenFile string
	// Context names the mark, so that several clusters can each have one: camfleet/CLUSTER.
	Context string
	// Target is where a click on the mark leads; may be empty.
	Target string
	// AllowHTTP sends the token without TLS to other hosts than this one, too.
	AllowHTTP bool
	Log       *slog.Logger // nil means none
	// Clock and Transport are for tests; nil means the machine's.
	Clock     clock.Clock
	Transport http.RoundTripper
}

const (
	maxCommits = 8 // that are waited for at once
	maxTold    = 64
	timeout    = 20 * time.Second
	firstRetry = time.Second
	mostRetry  = 5 * time.Minute
	longest    = time.Hour // that a server may tell us to wait
	maxRefused = 5         // refusals of one state, before it is given up

	// GitHub takes 1,000 states of a commit. One that changes all the time
	// is told at once the first few times, and then every few minutes.
	prompt   = 20
	throttle = 5 * time.Minute
	maxTimes = 900
)

// Notifier tells a server. Run has to run.
type Notifier struct {
	cfg    Config
	server *server
	wake   chan struct{}

	mu     sync.Mutex
	queue  []*waiting // the newest commit last
	told   []told     // the newest commit last
	counts Counts
}

// waiting is a state that is to be told.
type waiting struct {
	State
	at      time.Time // not before
	tries   int
	refused int
}

// told is what a commit's mark says.
type told struct {
	State
	at    time.Time
	times int
}

// Counts is what happened since the start.
type Counts struct {
	Sent    uint64
	Failed  uint64 // attempts; they are made again
	Dropped uint64 // states that were given up
	Waiting int
}

// New checks cfg; nothing is sent yet.
func New(cfg Config) (*Notifier, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.Real{}
	}
	s, err := newServer(cfg)
	if err != nil {
		return nil, err
	}
	return &Notifier{cfg: cfg, server: s, wake: make(chan struct{}, 1)}, nil
}

// Counts is what happened since the start.
func (n *Notifier) Counts() Counts {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.counts
	c.Waiting = len(n.queue)
	return c
}

// Tell has s told, if it is not what was told of that commit last. It returns at once.
func (n *Notifier) Tell(s State) {
	if s.Commit == "" || s.Level == "" {
		return
	}
	s.Description = describe(s.Description)
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.queue, func(w *waiting) bool { return w.Commit == s.Commit })
	was := n.last(s.Commit)
	switch {
	case i >= 0 && n.queue[i].State == s:
		return
	case i >= 0:
		// The newer state takes its place, and its turn: a server that is down is not asked more often.
		n.queue[i] = &waiting{State: s, at: n.queue[i].at, tries: n.queue[i].tries}
	case was.State == s, was.times >= maxTimes:
		return
	default:
		n.queue = append(n.queue, &waiting{State: s, at: was.next()})
	}
	if len(n.queue) > maxCommits {
		n.queue = slices.Delete(n.queue, 0, 1)
		n.counts.Dropped++
	}
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// last is what was told of a commit. The caller holds mu.
func (n *Notifier) last(commit string) told {
	if i := slices.IndexFunc(n.told, func(t told) bool { return t.Commit == commit }); i >= 0 {
		return n.told[i]
	}
	return told{}
}

// next is when a commit's next state may be told.
func (t told) next() time.Time {
	if t.times < prompt {
		return time.Time{}
	}
	return t.at.Add(throttle)
}

// Run tells until ctx ends.
func (n *Notifier) Run(ctx context.Context) error {
	var hold time.Time // the server wants to be left alone until then
	for ctx.Err() == nil {
		w, at := n.due(n.cfg.Clock.Now(), hold)
		if w != nil {
			hold = n.send(ctx, w)
			continue
		}
		timer, stop := n.timer(at)
		select {
		case <-ctx.Done():
		case <-timer:
		case <-n.wake:
		}
		stop()
	}
	return nil
}

// timer fires at a time; never when that is zero.
func (n *Notifier) timer(at time.Time) (<-chan time.Time, func()) {
	if at.IsZero() {
		return nil, func() {}
	}
	return n.cfg.Clock.After(at.Sub(n.cfg.Clock.Now()))
}

// due is the state to tell now, of the newest commit first, or when there will be one.
func (n *Notifier) due(now, hold time.Time) (*waiting, time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var next time.Time
	for _, w := range slices.Backward(n.queue) {
		at := w.at
		if at.Before(hold) {
			at = hold
		}
		if !at.After(now) {
			copied := *w
			return &copied, now
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return nil, next
}

// send tells one state. It returns until when the server wants to be left alone.
func (n *Notifier) send(ctx context.Context, w *waiting) time.Time {
	timed, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := n.server.post(timed, w.State)
	if ctx.Err() != nil {
		return time.Time{}
	}
	now := n.cfg.Clock.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		n.sent(w.State, now)
		return time.Time{}
	}
	return n.failed(w, err, now)
}

// failed puts a state off, or gives it up. The caller holds mu.
func (n *Notifier) failed(w *waiting, err error, now time.Time) time.Time {
	n.counts.Failed++
	var refused *refusedError
	errors.As(err, &refused)
	wait := min(firstRetry<<min(w.tries, 10), mostRetry)
	if refused != nil {
		wait = mostRetry // somebody has to do something about it first
	}
	i := slices.IndexFunc(n.queue, func(q *waiting) bool { return q.Commit == w.Commit })
	if i < 0 {
		return time.Time{} // it was too old to be kept
	}
	q := n.queue[i]
	if q.tries++; refused != nil && refused.wait == 0 && q.State == w.State {
		q.refused++
	}
	if q.refused >= maxRefused || refused != nil && refused.final {
		n.queue = slices.Delete(n.queue, i, i+1)
		n.counts.Dropped++
		n.cfg.Log.Error("a commit's status is not told; it is given up", "commit", w.Commit, "error", err)
		return time.Time{}
	}
	if w.tries == 0 {
		n.cfg.Log.Warn("a commit's status cannot be told; it is tried again", "commit", w.Commit, "error", err)
	}
	q.at = now.Add(wait)
	if refused != nil && refused.wait > 0 {
		return now.Add(min(refused.wait, longest))
	}
	return time.Time{}
}

// sent notes what was told. The caller holds mu.
func (n *Notifier) sent(s State, now time.Time) {
	n.counts.Sent++
	t := told{s, now, n.last(s.Commit).times + 1}
	n.told = append(slices.DeleteFunc(n.told, func(t told) bool { return t.Commit == s.Commit }), t)
	n.told = n.told[max(0, len(n.told)-maxTold):]
	i := slices.IndexFunc(n.queue, func(q *waiting) bool { return q.Commit == s.Commit })
	switch {
	case i < 0:
	case n.queue[i].State == s, t.times >= maxTimes:
		n.queue = slices.Delete(n.queue, i, i+1)
	default: // a newer one came meanwhile
		n.queue[i].at, n.queue[i].tries = t.next(), 0
	}
	n.cfg.Log.Debug("told a commit's status", "commit", s.Commit, "state", s.Level, "description", s.Description)
}

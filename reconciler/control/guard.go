package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// ErrNotLeader is why a Guard does not send a request.
var ErrNotLeader = errors.New("this replica does not hold the lease, so it does not write")

// Guard lets a client write only while this process holds the lease. A process
// that was stopped (SIGSTOP, a machine that slept) and wakes up after its lease
// has run out does not know yet that another one writes: so the lease is looked
// at, by a clock that nobody sets, before each request and once more when its
// body is read to be sent. When the lease runs out, requests under way are
// given up.
//
// What remains is a request that has left this process when the lease runs out:
// an API server may carry it out a moment later. It does no lasting harm:
// deletions name a UID, what is applied is compared again by the new leader, and
// notes name the version that they replace.
//
// The zero value holds no lease.
type Guard struct {
	now func() time.Duration // for tests; nil means uptime

	mu    sync.Mutex
	until time.Duration // by now
	term  context.Context
	end   context.CancelCauseFunc
	timer *time.Timer
}

func (g *Guard) clock() time.Duration {
	if g.now != nil {
		return g.now()
	}
	return uptime()
}

// Held tells whether this process may write now.
func (g *Guard) Held() bool { return g.check() == nil }

// check is nil as long as the lease is held.
func (g *Guard) check() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.look()
}

// look is check; the caller holds mu. Once it has failed, a term is over for
// good: the next renewal begins another one.
func (g *Guard) look() error {
	if g.term == nil || g.term.Err() != nil {
		return ErrNotLeader
	}
	if late := g.clock() - g.until; late >= 0 {
		err := fmt.Errorf("%w: it was not renewed in time (%s ago it should have been)", ErrNotLeader, late.Round(time.Millisecond))
		g.end(err)
		return err
	}
	return nil
}

// renewed says that the lease is held for d from sent on, which is when the
// request that renewed it was sent. It returns the term's context.
func (g *Guard) renewed(sent, d time.Duration) context.Context {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until = sent + d; g.until <= g.clock() {
		return g.term // the answer came too late to be of use
	}
	if g.term == nil || g.term.Err() != nil {
		g.term, g.end = context.WithCancelCause(context.Background())
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	g.timer = time.AfterFunc(g.until-g.clock(), func() { _ = g.check() }) // which ends the term, if it is over
	return g.term
}

// drop says that the lease is not held any more.
func (g *Guard) drop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
	}
	if g.end != nil {
		g.end(ErrNotLeader)
	}
}

// current is the context of the term, which ends with it, or why there is none.
func (g *Guard) current() (context.Context, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.term, g.look()
}

// Wrap puts the guard in front of a transport: rest.Config.Wrap takes it.
// Reading is free.
func (g *Guard) Wrap(next http.RoundTripper) http.RoundTripper { return guarded{g, next} }

type guarded struct {
	guard *Guard
	next  http.RoundTripper
}

func (t guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return t.next.RoundTrip(r)
	}
	term, err := t.guard.current()
	if err != nil {
		if r.Body != nil {
			r.Body.Close() //nolint:errcheck // it is only read
		}
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(term, func() { cancel(context.Cause(term)) })
	done := func() { stop(); cancel(nil) }
	resp, err := t.next.RoundTrip(t.watched(r, ctx))
	if err != nil {
		if cause := context.Cause(term); cause != nil && !errors.Is(err, ErrNotLeader) {
			err = fmt.Errorf("%w (given up: %w)", cause, err)
		}
		done()
		return nil, err
	}
	resp.Body = &closing{resp.Body, done}
	return resp, nil
}

// watched is a request whose body can be read only while the lease is held:
// finding a connection may have taken long.
func (t guarded) watched(r *http.Request, ctx context.Context) *http.Request {
	w := r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		w.Body = guardedBody{r.Body, t.guard}
	}
	if r.GetBody != nil {
		w.GetBody = func() (io.ReadCloser, error) {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			return guardedBody{body, t.guard}, nil
		}
	}
	return w
}

type guardedBody struct {
	io.ReadCloser
	guard *Guard
}

func (b guardedBody) Read(p []byte) (int, error) {
	if err := b.guard.check(); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}

// closing gives resources back when an answer is read.
type closing struct {
	io.ReadCloser
	done func()
}

func (c *closing) Close() error {
	defer c.done()
	return c.ReadCloser.Close()
}

// Package hook answers POST /hook: a Git server says that something was
// pushed, so that the reconciler looks at its source now and not at the next
// poll.
//
//	GitHub, GitLab, Gitea, Forgejo, Bitbucket, curl ─► Handler ─► Wake ─► Source.Fetch
//
// A call is a hint and nothing more. Its body is not parsed, not even for the
// branch: the worst that a forged or repeated call could do is one look at the
// repository, on and on at most twice a second. Even so every call has to be signed with a secret:
//
//	GitHub           X-Hub-Signature-256: sha256=HEX     HMAC-SHA256 of the body
//	Gitea, Forgejo   X-Gitea-Signature: HEX              the same (X-Forgejo-Signature)
//	Bitbucket        X-Hub-Signature: sha256=HEX         the same
//	GitLab           webhook-signature: v1,BASE64        with a signing token (whsec_…)
//	                 X-Gitlab-Token: SECRET              with a secret token
//	anything else    X-Camfleet-Signature: sha256=HEX    HMAC-SHA256 of the body
//
// From a script, with the secret in a file:
//
//	curl -fsS -d x -H "X-Camfleet-Signature: sha256=$(printf x | openssl dgst -sha256 -hmac "$(cat secret)" -r | cut -d' ' -f1)" https://camfleet.example.org/hook
package hook

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxBody     = 1 << 20
	bodyTimeout = 10 * time.Second
	maxAtOnce   = 64
	every       = 500 * time.Millisecond // at most so often Wake is called on and on,
	burst       = 5                      // and so often at once
	logEvery    = time.Minute
)

// Handler answers POST /hook. Set its exported fields before it is used.
type Handler struct {
	// Secret gives the secrets that a call may be signed with, one on a line:
	// usually the content of a file, read anew at every call, so that one can
	// be replaced by another. Nil, or no line: every call is refused.
	Secret func() ([]byte, error)
	// Wake makes the reconciler look at its source. It must not block, and a
	// call while it is looking must make it look once more afterwards.
	Wake func()
	Log  *slog.Logger // nil means none

	calls waker
	busy  atomic.Int64
	count counts

	mu     sync.Mutex
	logged time.Time
}

type counts struct{ accepted, ignored, refused, tooLarge, failed atomic.Uint64 }

// Counts is what came since the start.
type Counts struct {
	Accepted uint64 // signed calls about a push
	Ignored  uint64 // signed calls about something else
	Refused  uint64 // not signed, or not with our secret
	TooLarge uint64
	Failed   uint64 // not read, too many at once, no secret
	Wakes    uint64 // how often Wake was called
}

// Counts is what came since the start.
func (h *Handler) Counts() Counts {
	return Counts{
		Accepted: h.count.accepted.Load(), Ignored: h.count.ignored.Load(), Refused: h.count.refused.Load(),
		TooLarge: h.count.tooLarge.Load(), Failed: h.count.failed.Load(), Wakes: h.calls.wakes.Load(),
	}
}

// ServeHTTP answers one call.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "this is where a Git server POSTs that something was pushed", http.StatusMethodNotAllowed)
		return
	}
	if h.busy.Add(1) > maxAtOnce {
		h.busy.Add(-1)
		h.count.failed.Add(1)
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Connection", "close") // nobody reads what is left of the body
		http.Error(w, "too many calls at once", http.StatusServiceUnavailable)
		return
	}
	defer h.busy.Add(-1)
	code, text := h.answer(w, r)
	if code >= http.StatusBadRequest {
		w.Header().Set("Connection", "close")
	}
	http.Error(w, text, code)
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request) (code int, text string) {
	keys, err := h.keys()
	if err != nil {
		h.count.failed.Add(1)
		h.log(r.Context(), "the secret for webhooks cannot be read; calls are refused", "error", err)
		return http.StatusServiceUnavailable, "the secret cannot be read; the reconciler's log says why"
	}
	if len(keys) == 0 {
		h.count.failed.Add(1)
		return http.StatusForbidden, "no secret for webhooks is set (--hook-secret-file); the repository is polled"
	}
	claims := claimed(r.Header, keys)
	if len(claims) == 0 {
		h.count.refused.Add(1)
		return http.StatusUnauthorized, "not signed"
	}
	// Whoever serves without deadlines of its own must not be held up for ever.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	var tooLarge *http.MaxBytesError
	switch _, err = io.Copy(claims, http.MaxBytesReader(w, r.Body, maxBody)); {
	case errors.As(err, &tooLarge):
		h.count.tooLarge.Add(1)
		return http.StatusRequestEntityTooLarge, "at most 1 MiB; the repository is polled, too"
	case err != nil:
		h.count.failed.Add(1)
		return http.StatusBadRequest, "the body did not come"
	case !claims.hold():
		h.count.refused.Add(1)
		h.log(r.Context(), "a webhook was called with a wrong signature: is the secret the same on both sides?", "from", r.RemoteAddr)
		return http.StatusUnauthorized, "not signed"
	}
	return h.signed(r)
}

// signed answers a call that is what it says.
func (h *Handler) signed(r *http.Request) (code int, text string) {
	switch event(r.Header) {
	case ping:
		h.count.ignored.Add(1)
		return http.StatusOK, "it works"
	case other:
		h.count.ignored.Add(1)
		return http.StatusAccepted, "only pushes matter; nothing was done"
	}
	h.count.accepted.Add(1)
	h.calls.call(h.Wake)
	return http.StatusAccepted, "the repository is looked at"
}

// log tells of trouble, but not of every call that somebody makes in vain.
func (h *Handler) log(ctx context.Context, message string, args ...any) {
	h.mu.Lock()
	now := time.Now()
	due := h.Log != nil && now.Sub(h.logged) >= logEvery
	if due {
		h.logged = now
	}
	h.mu.Unlock()
	if due {
		h.Log.WarnContext(ctx, message, args...)
	}
}

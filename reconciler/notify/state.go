package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

// maxDescription is what GitHub takes.
const maxDescription = 140

// describe makes a text one line that every server takes.
func describe(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if runes := []rune(text); len(runes) > maxDescription {
		text = string(runes[:maxDescription-1]) + "…"
	}
	return text
}

// FromStatus is how the newest compiled commit fared. What is wrong with the
// repository, the compiler or a camera is not said of a commit.
func FromStatus(s status.Status) State {
	state := State{Commit: s.Commit}
	switch {
	case s.Commit == "", strings.Contains(s.Unverified, s.Commit[:min(len(s.Commit), 12)]):
		return State{} // the key of the commit that runs was taken out: Reports tells that
	case s.Suspended != nil:
		state.Level, state.Description = Pending, "suspended: "+cmp.Or(s.Suspended.Reason, "somebody said so")
	case s.TargetError != "":
		state.Level, state.Description = Error, s.TargetError
	case len(s.Problems) > 0:
		state.Level, state.Description = Failure, first(len(s.Problems), "problem", "problems", s.Problems[0].Error())
	case len(s.Failed) > 0:
		f := s.Failed[0]
		state.Level, state.Description = Failure, first(len(s.Failed), "object is not applied", "objects are not applied", f.ID.String()+": "+f.Reason)
	case len(s.Held) > 0:
		h := s.Held[0]
		state.Level, state.Description = Pending, status.HeldWords(s.Held)+", the first: "+h.ID.String()+": "+h.Reason
	case len(s.Waiting) > 0:
		w := s.Waiting[0]
		state.Level, state.Description = Pending, first(len(s.Waiting), "object waits", "objects wait", w.ID.String()+": "+w.Reason)
	default:
		state.Level, state.Description = Success, applied(s)
	}
	return state
}

// applied counts what the commit is about, not what was done: that is another
// number at every restart, and the mark says the same.
func applied(s status.Status) string {
	cameras := 0
	for _, site := range s.Sites {
		cameras += site.Cameras
	}
	return fmt.Sprintf("applied: %s at %s", count(cameras, "camera", "cameras"), count(len(s.Sites), "site", "sites"))
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// first names how many there are, and the first of them.
func first(n int, one, many, what string) string {
	if n == 1 {
		return "1 " + one + ": " + what
	}
	return fmt.Sprintf("%d %s, the first: %s", n, many, what)
}

// FromError is what an error of the source says of a commit: one that is
// refused, or held because of its signature. Other errors are about no commit.
func FromError(err error) (State, bool) {
	var refused *source.RefusedError
	var held *source.UnverifiedError
	switch {
	case errors.As(err, &held) && held.Commit != "":
		return State{held.Commit, Failure, held.Error()}, true
	case errors.As(err, &refused) && refused.Commit != "":
		return State{refused.Commit, Failure, "refused: " + refused.Error()}, true
	}
	return State{}, false
}

// Reports is a source that tells of what it reads: a new commit is pending,
// one that is refused or held has failed. The rest is told by FromStatus.
type Reports struct {
	*source.Source
	To *Notifier
}

// Fetch is Source.Fetch.
func (r Reports) Fetch(ctx context.Context, have string) (*source.Commit, error) {
	c, err := r.Source.Fetch(ctx, have)
	if state, ok := FromError(err); ok {
		r.To.Tell(state)
	} else if c != nil && have != "" { // after a restart it is most likely known already
		r.To.Tell(State{c.Hash, Pending, "it is being compiled and applied"})
	}
	return c, err
}

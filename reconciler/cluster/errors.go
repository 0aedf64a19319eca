package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// A request is tried so often, with these waits in between. Client-go itself
// waits as long as a server's Retry-After asks for.
const (
	attempts       = 5
	firstWait      = 100 * time.Millisecond
	longestWait    = 2 * time.Second
	moreAttempts   = 10 // some 10 s, for what a controller has to do first
	requestTimeout = 30 * time.Second
)

// retry does a request until it is answered, or has failed for a reason that
// does not pass by itself. f must be fit to be done twice.
func (c *Cluster) retry(ctx context.Context, f func(context.Context) error) error {
	most := attempts
	for i := 0; ; i++ {
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, requestTimeout)
			defer cancel()
			return f(ctx)
		}()
		if settlingIn(err) {
			most = moreAttempts
		}
		if err == nil || !passing(err) || ctx.Err() != nil || i >= most-1 {
			return err
		}
		wait := min(firstWait<<i, longestWait)
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// settlingIn tells whether a Pod was refused because its namespace is so new
// that it has no ServiceAccount yet: a controller makes it, soon.
func settlingIn(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "error looking up service account")
}

// passing tells whether an error says something about now, and not about the object.
func passing(err error) bool {
	if settlingIn(err) {
		return true
	}
	if _, waits := apierrors.SuggestsClientDelay(err); waits {
		return true
	}
	return apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || errors.Is(err, context.DeadlineExceeded) ||
		utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err)
}

// longest is how much of one message of an API server is passed on: what it
// says of a refused Pod goes on with a difference of two whole specs.
const longest = 240

// said puts what was tried before an API server's error, and makes it short.
func said(what string, err error) error {
	if err == nil {
		return nil
	}
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return &refusal{what + ": somebody is deleting its namespace; it is made anew when that has ended", err}
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil || len(status.Status().Details.Causes) == 0 {
		return fmt.Errorf("%s: %w", what, err)
	}
	var causes []string
	for _, c := range status.Status().Details.Causes {
		message, _, _ := strings.Cut(c.Message, "\n")
		if len(message) > longest {
			message = strings.ToValidUTF8(message[:longest], "") + " …"
		}
		if c.Field != "" {
			message = c.Field + ": " + message
		}
		if !slices.Contains(causes, message) {
			causes = append(causes, message)
		}
	}
	return &refusal{what + ": " + strings.Join(causes, "; "), err}
}

// refusal is an API server's error in fewer words.
type refusal struct {
	text string
	err  error
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.err }

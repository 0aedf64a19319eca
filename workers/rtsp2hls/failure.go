package rtsp2hls

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/media"
)

// failure is why a connection ended, or could not be made.
type failure struct {
	state   archive.State
	cause   media.Cause
	reason  string // a label in metrics
	message string // for a person; without credentials
	slow    bool   // trying again soon would not help, and may lock the account
	lived   bool   // frames arrived before
}

var (
	errRedirect   = errors.New("the camera redirects")
	errForbidden  = errors.New("address not allowed")
	errNoVideo    = errors.New("the camera offers no H.264 or H.265 video")
	errTooManyAsk = errors.New("the camera redirects again and again")
)

func stalled(silent time.Duration) *failure {
	return &failure{state: archive.Stale, cause: media.CauseStalled, reason: "stalled",
		message: fmt.Sprintf("no packets for %s, connecting again", silent.Round(time.Second))}
}

// classify turns an error of a connection into what it means. scrub takes
// credentials out of texts.
func classify(err error, hasCredentials bool, scrub func(string) string) *failure {
	text := scrub(err.Error())
	f := &failure{state: archive.Unreachable, cause: media.CauseUnreachable, reason: "unreachable", message: text}
	var status liberrors.ErrClientBadStatusCode
	var dns *net.DNSError
	var timeout liberrors.ErrClientRequestTimedOut
	switch {
	case errors.As(err, &status):
		f.status(status, hasCredentials)
	case errors.Is(err, errRedirect), errors.Is(err, errTooManyAsk), errors.Is(err, errForbidden):
		f.reason, f.slow = "refused", true
	case errors.Is(err, errNoVideo), errors.As(err, new(liberrors.ErrClientSDPInvalid)),
		errors.As(err, new(liberrors.ErrClientContentTypeMissing)), errors.As(err, new(liberrors.ErrClientContentTypeUnsupported)),
		errors.As(err, new(liberrors.ErrClientServerRequestedTCP)), errors.As(err, new(liberrors.ErrClientServerRequestedUDP)):
		f.state, f.cause, f.reason, f.slow = archive.Unsupported, media.CauseUnsupported, "unsupported", true
	case errors.As(err, new(liberrors.ErrClientAuthSetup)):
		f.state, f.cause, f.reason, f.slow = archive.Unauthorized, media.CauseUnauthorized, "unauthorized", true
	case errors.As(err, new(liberrors.ErrClientTCPTimeout)), errors.As(err, new(liberrors.ErrClientUDPTimeout)):
		f.state, f.cause, f.reason = archive.Stale, media.CauseStalled, "stalled"
		f.message = "no packets any more, connecting again"
	case errors.As(err, &timeout):
		f.message = "connected, but the camera does not answer"
	case errors.As(err, &dns):
		f.message = "the host name cannot be resolved: " + text
	case errors.Is(err, syscall.ECONNREFUSED):
		f.message = "the camera refuses connections: is the port right? " + text
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		f.message = "the camera does not answer: is it switched on, and its address right? " + text
	}
	return f
}

// status is what an RTSP answer other than 200 means.
func (f *failure) status(s liberrors.ErrClientBadStatusCode, hasCredentials bool) {
	switch s.Code {
	case base.StatusUnauthorized, base.StatusForbidden:
		f.state, f.cause, f.reason, f.slow = archive.Unauthorized, media.CauseUnauthorized, "unauthorized", true
		f.message = "the camera refuses the user name or password; correct the credentials, they are read again by themselves"
		if !hasCredentials {
			f.message = "the camera asks for a password; give it credentials"
		}
	case base.StatusNotFound, base.StatusGone:
		f.state, f.cause, f.reason, f.slow = archive.NotFound, media.CauseNotFound, "notFound", true
		f.message = "the camera does not know the path in its URL (404)"
	case base.StatusUnsupportedTransport:
		f.state, f.cause, f.reason, f.slow = archive.Unsupported, media.CauseUnsupported, "unsupported", true
		f.message = "the camera does not offer this transport (461); try the other one, tcp or udp"
	}
}

// userinfo is what stands before the host in a URL, wherever it is in a text.
var userinfo = regexp.MustCompile(`://[^/@\s"']*@`)

// scrubber takes a user's password, in every form it may have in a URL, and
// any userinfo out of texts.
func scrubber(c credentials) func(string) string {
	var pairs []string
	for _, secret := range []string{c.password, url.QueryEscape(c.password), url.PathEscape(c.password), url.UserPassword("", c.password).String()[1:]} {
		if c.password != "" {
			pairs = append(pairs, secret, "***")
		}
	}
	replacer := strings.NewReplacer(pairs...)
	return func(s string) string { return userinfo.ReplaceAllString(replacer.Replace(s), "://") }
}

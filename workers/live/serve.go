package live

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"camfleet.dev/workers/media"
)

const (
	indexName     = "index.m3u8"
	videoPlaylist = "video1_stream.m3u8"
	genParam      = "g" // which output a playlist belongs to
)

// answer keeps what a handler writes, so that nobody holds a lock while a slow
// client reads. A zero status means that the handler wrote nothing.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.body.Write(b)
}

// send copies a to w.
func (a *answer) send(w http.ResponseWriter) {
	if a.status == 0 {
		a.status = http.StatusNotFound
	}
	if a.status != http.StatusOK {
		http.Error(w, http.StatusText(a.status), a.status)
		return
	}
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	w.WriteHeader(a.status)
	w.Write(a.body.Bytes()) //nolint:errcheck // the client went away
}

// ServeHTTP answers for the last element of the request's path: index.m3u8 and
// what it leads to. It blocks as long as Options.Wait says, and not longer than the client stays.
func (s *Stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	ctx, name := r.Context(), path.Base(r.URL.Path)
	switch {
	case name == indexName:
		s.serveIndex(ctx, w)
	case strings.HasSuffix(name, "_stream.m3u8"):
		s.servePlaylist(ctx, w, name, r.URL.Query())
	default:
		s.serveMedia(ctx, w, name)
	}
}

func (s *Stream) serveIndex(ctx context.Context, w http.ResponseWriter) {
	out, cause := s.watch()
	if out == nil {
		notLive(w, cause)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	ok, err := out.until(ctx, func(_ position, ready bool) bool { return ready })
	if !ok || err != nil {
		notYet(w)
		return
	}
	out.playlist(indexName, genParam+"="+out.gen).send(w)
}

// servePlaylist waits as _HLS_msn and _HLS_part ask (RFC 8216bis §6.2.5.2).
// When the bound is reached it answers with the playlist as it is, so that a
// player goes on asking instead of giving up.
func (s *Stream) servePlaylist(ctx context.Context, w http.ResponseWriter, name string, q url.Values) {
	out, wait := s.running(func(out *output) bool { return q.Get(genParam) == out.gen })
	if out == nil {
		gone(w)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	want, err := parseReload(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	tooFar := false
	_, err = out.until(ctx, func(pos position, ready bool) bool {
		tooFar = ready && want.msn > pos.msn+1
		return ready && (tooFar || !want.blocks || pos.has(want.msn, want.part, want.hasPart))
	})
	switch {
	case err != nil:
		gone(w)
	case tooFar:
		http.Error(w, "_HLS_msn is too far ahead", http.StatusBadRequest)
	case !out.isReady():
		notYet(w)
	default:
		query := ""
		if skip := q.Get("_HLS_skip"); skip == "YES" || skip == "v2" {
			query = "_HLS_skip=" + skip
		}
		out.playlist(name, query).send(w)
	}
}

// serveMedia serves a segment or a part; the part that is hinted at is waited for.
func (s *Stream) serveMedia(ctx context.Context, w http.ResponseWriter, name string) {
	out, wait := s.running(func(out *output) bool { return out.isReady() })
	if out == nil {
		gone(w)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if n, isPart := partNumber(name); isPart {
		unknown := false
		ok, err := out.until(ctx, func(pos position, _ bool) bool {
			unknown = n > pos.next+1
			return unknown || n < pos.next
		})
		switch {
		case err != nil || unknown:
			gone(w)
			return
		case !ok:
			notYet(w)
			return
		}
	}
	out.render(name, "").send(w)
}

// reload is what a blocking playlist request asks for.
type reload struct {
	msn, part       uint64
	blocks, hasPart bool
}

func parseReload(q url.Values) (reload, error) {
	var r reload
	var err error
	if v := q.Get("_HLS_msn"); v != "" {
		r.blocks = true
		if r.msn, err = strconv.ParseUint(v, 10, 64); err != nil {
			return r, fmt.Errorf("_HLS_msn %q is not a number", v)
		}
	}
	if v := q.Get("_HLS_part"); v != "" {
		r.hasPart = true
		if r.part, err = strconv.ParseUint(v, 10, 64); err != nil {
			return r, fmt.Errorf("_HLS_part %q is not a number", v)
		}
	}
	if r.hasPart && !r.blocks {
		return r, fmt.Errorf("_HLS_part needs _HLS_msn")
	}
	return r, nil
}

func notLive(w http.ResponseWriter, cause media.Cause) {
	w.Header().Set("Retry-After", "2")
	w.Header().Set("Cache-Control", "no-store")
	msg := "the camera is not live yet"
	if cause != media.CauseNone {
		msg = "the camera is not live: " + string(cause)
	}
	http.Error(w, msg, http.StatusServiceUnavailable)
}

func notYet(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "the live view is starting: no key frame has come yet", http.StatusServiceUnavailable)
}

// gone answers for what was never there, or belongs to an output that has ended.
func gone(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "not found; index.m3u8 leads to what is live now", http.StatusNotFound)
}

package live

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

// patience bounds what a test waits for.
const patience = 20 * time.Second

// viewer plays a Stream over HTTP, as a player does.
type viewer struct {
	t    testing.TB
	base string
	http *http.Client
}

func watch(t testing.TB, s *Stream) *viewer {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(s.Close) // first: it wakes those who wait
	return &viewer{t: t, base: server.URL + "/live/gate/north/", http: server.Client()}
}

// get asks for a name relative to index.m3u8.
func (v *viewer) get(name string) (int, http.Header, string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), patience)
	defer cancel()
	status, header, body, err := v.fetch(ctx, name)
	if err != nil {
		v.t.Fatalf("GET %s: %v", name, err)
	}
	return status, header, body
}

func (v *viewer) fetch(ctx context.Context, name string) (int, http.Header, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+name, nil)
	if err != nil {
		return 0, nil, "", err
	}
	res, err := v.http.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer res.Body.Close() //nolint:errcheck // read only
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, string(body), err
}

func (v *viewer) ok(name string) string {
	v.t.Helper()
	status, _, body := v.get(name)
	if status != http.StatusOK {
		v.t.Fatalf("GET %s: %d %s", name, status, body)
	}
	return body
}

func (v *viewer) want(status int, name string) {
	v.t.Helper()
	if got, _, body := v.get(name); got != status {
		v.t.Errorf("GET %s: %d %q, want %d", name, got, body, status)
	}
}

// index reads index.m3u8 and gives the video's media playlist's name.
func (v *viewer) index() (*playlist.Multivariant, string) {
	v.t.Helper()
	var m playlist.Multivariant
	if err := m.Unmarshal([]byte(v.ok(indexName))); err != nil {
		v.t.Fatal(err)
	}
	if len(m.Variants) != 1 {
		v.t.Fatalf("%d variants", len(m.Variants))
	}
	return &m, m.Variants[0].URI
}

// media reads a media playlist; query is added to its name.
func (v *viewer) media(name string, query url.Values) *playlist.Media {
	v.t.Helper()
	if len(query) > 0 {
		name += "&" + query.Encode()
	}
	var m playlist.Media
	body := v.ok(name)
	if err := m.Unmarshal([]byte(body)); err != nil {
		v.t.Fatalf("%v in\n%s", err, body)
	}
	return &m
}

// reloadQuery asks for part n of segment msn.
func reloadQuery(msn, part int) url.Values {
	return url.Values{"_HLS_msn": {fmt.Sprint(msn)}, "_HLS_part": {fmt.Sprint(part)}}
}

// edge is the segment that is being made, and how many parts it has.
func edge(m *playlist.Media) (msn, parts int) {
	return m.MediaSequence + len(m.Segments), len(m.Parts)
}

// later runs f and gives what it returns, when it does.
func later[T any](f func() T) <-chan T {
	c := make(chan T, 1)
	go func() { c <- f() }()
	return c
}

// receive waits for c.
func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came in time")
		panic("unreachable")
	}
}

// eventually polls until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		<-tick.C
	}
}

// body joins what is left of a playlist's name after its query.
func withoutQuery(name string) string {
	name, _, _ = strings.Cut(name, "?")
	return name
}

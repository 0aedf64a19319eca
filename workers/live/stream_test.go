package live

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"camfleet.dev/workers/media"
)

// fakeClock is Options.Now; the test moves it.
type fakeClock struct{ ns atomic.Int64 }

func (c *fakeClock) now() time.Time          { return origin.Add(time.Duration(c.ns.Load())) }
func (c *fakeClock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// streaming is a Stream that has been fed two key frame intervals.
func streaming(t testing.TB, src *source, o Options) *Stream {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	if o.Wait == 0 {
		o.Wait = 5 * patience
	}
	o.Tick = time.Millisecond
	s := New(o)
	t.Cleanup(s.Close)
	s.Start(src.tracks, true)
	src.untilKey(s)
	src.untilKey(s)
	return s
}

// started asks for the index, feeds until it is there, and gives the video playlist's name.
func started(t testing.TB, s *Stream, v *viewer, src *source) string {
	t.Helper()
	name := later(func() string { _, name := v.index(); return name })
	eventually(t, "the output starts", s.Watched)
	src.feed(s, 60)
	uri := receive(t, name)
	settled(t, s)
	return uri
}

// settled waits until all that was fed is in the playlist.
func settled(t testing.TB, s *Stream) {
	t.Helper()
	eventually(t, "what was fed is written", func() bool {
		out, _ := s.running(func(*output) bool { return true })
		return out == nil || out.pending.Load() == 0
	})
}

func TestPlaylistsAndParts(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := clip(t, "motion.h264")
			s := streaming(t, src, Options{Dir: dir})
			src.feed(s, 7)
			v := watch(t, s)
			uri := started(t, s, v, src)
			if withoutQuery(uri) != videoPlaylist {
				t.Errorf("video playlist is %s", uri)
			}
			m := v.media(uri, nil)
			if m.PartInf == nil || m.PartInf.PartTarget != 200*time.Millisecond {
				t.Errorf("part target: %+v", m.PartInf)
			}
			if c := m.ServerControl; c == nil || !c.CanBlockReload || *c.PartHoldBack != 700*time.Millisecond {
				t.Errorf("server control: %+v", m.ServerControl)
			}
			if m.PreloadHint == nil || len(m.Parts) == 0 {
				t.Errorf("no parts or no preload hint: %d", len(m.Parts))
			}
			checkMedia(t, v, m)
		})
	}
}

// TestKeptFramesComeFirst: a viewer gets what came before, from the last key frame on.
func TestKeptFramesComeFirst(t *testing.T) {
	t.Parallel()
	src := clip(t, "quiet.h264")
	s := streaming(t, src, Options{})
	src.feed(s, 10)
	first := s.kept.units[0]
	v := watch(t, s)
	m := v.media(started(t, s, v, src), nil)
	for _, seg := range m.Segments {
		if seg.Gap {
			continue
		}
		if seg.DateTime == nil || !seg.DateTime.Equal(first.Time) {
			t.Errorf("first segment begins at %v, the key frame before the request was at %v", seg.DateTime, first.Time)
		}
		return
	}
	t.Error("no segment")
}

func TestBlockingReload(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	uri := started(t, s, v, src)
	for range 8 {
		msn, part := edge(v.media(uri, nil))
		waiting := later(func() error {
			gotMSN, gotParts := edge(v.media(uri, reloadQuery(msn, part)))
			if gotMSN < msn || gotMSN == msn && gotParts <= part {
				return fmt.Errorf("asked for segment %d part %d, got a playlist at %d part %d", msn, part, gotMSN, gotParts)
			}
			return nil
		})
		select {
		case <-waiting:
			t.Fatal("did not wait for a part that is not there")
		case <-time.After(20 * time.Millisecond):
		}
		src.feed(s, 6) // one part is five frames
		if err := receive(t, waiting); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWholeSegmentReload(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	uri := started(t, s, v, src)
	msn, _ := edge(v.media(uri, nil))
	got := later(func() int {
		m := v.media(uri, map[string][]string{"_HLS_msn": {fmt.Sprint(msn)}})
		next, _ := edge(m)
		return next
	})
	src.feed(s, 60)
	if next := receive(t, got); next <= msn {
		t.Errorf("playlist ends before segment %d, which was asked for", msn)
	}
}

func TestPreloadHint(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	uri := started(t, s, v, src)
	hint := v.media(uri, nil).PreloadHint.URI
	part := later(func() string { return v.ok(hint) })
	select {
	case <-part:
		t.Fatal("the hinted part came before it was made")
	case <-time.After(20 * time.Millisecond):
	}
	src.feed(s, 12)
	if !strings.Contains(receive(t, part)[:64], "moof") {
		t.Error("the hinted part is no fragment")
	}
}

func TestDeltaUpdate(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	uri := started(t, s, v, src)
	src.feed(s, 25*12)
	settled(t, s)
	m := v.media(uri, map[string][]string{"_HLS_skip": {"YES"}})
	if m.Skip == nil || m.Map != nil {
		t.Errorf("skip %+v, map %+v", m.Skip, m.Map)
	}
}

func TestIdleOutputEnds(t *testing.T) {
	t.Parallel()
	var clock fakeClock
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{Now: clock.now, Idle: 30 * time.Second})
	v := watch(t, s)
	uri := started(t, s, v, src)
	for range 5 { // somebody who asks keeps it going
		clock.advance(29 * time.Second)
		v.media(uri, nil)
	}
	if !s.Watched() {
		t.Fatal("ended although somebody watches")
	}
	clock.advance(29 * time.Second)
	v.want(http.StatusNotFound, "nobody_seg1.mp4") // counts as asking: it might have been there
	clock.advance(30 * time.Second)
	eventually(t, "the output ends", func() bool { return !s.Watched() })
	v.want(http.StatusNotFound, uri)
	if again := started(t, s, v, src); again == uri {
		t.Error("the new output has the old one's generation")
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	v.want(http.StatusNotFound, "video1_stream.m3u8") // nobody has asked for the index
	uri := started(t, s, v, src)
	msn, _ := edge(v.media(uri, nil))
	for name, want := range map[string]int{
		"nothing":                              404,
		"gap.mp4":                              404,
		"x_video1_part999999.mp4":              404,
		"x_video1_part0.mp4":                   404,
		"x_video1_seg7.mp4":                    404,
		"video1_stream.m3u8":                   404,
		"video1_stream.m3u8?g=old":             404,
		"audio2_stream.m3u8?" + query(uri):     404,
		uri + "&_HLS_msn=x":                    400,
		uri + "&_HLS_msn=-1":                   400,
		uri + "&_HLS_part=1":                   400,
		uri + "&_HLS_msn=1&_HLS_part=x":        400,
		fmt.Sprint(uri, "&_HLS_msn=", msn+2):   400,
		uri + "&_HLS_msn=99999999999999999999": 400,
	} {
		v.want(want, name)
	}
	res, err := v.http.Post(v.base+indexName, "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close() //nolint:errcheck // not read
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", res.StatusCode)
	}
	if _, header, _ := v.get(indexName); header.Get("Cache-Control") != "no-store" {
		t.Errorf("index is cached: %v", header)
	}
}

func query(uri string) string { _, q, _ := strings.Cut(uri, "?"); return q }

func TestNotLive(t *testing.T) {
	t.Parallel()
	s := New(Options{Tick: time.Millisecond})
	v := watch(t, s)
	check := func(word string) {
		t.Helper()
		status, header, body := v.get(indexName)
		if status != 503 || header.Get("Retry-After") == "" || !strings.Contains(body, word) {
			t.Errorf("%d %v %q, want 503 and %q", status, header, body, word)
		}
	}
	check("not live yet")
	src := clip(t, "motion.h264")
	s.Start(src.tracks, true)
	s.Stop(media.CauseUnreachable)
	check("unreachable")
	s.Close()
	check("not live")
}

// TestRequestsAreBounded: a camera that sends nothing more blocks nobody for ever.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{Wait: 100 * time.Millisecond})
	v := watch(t, s)
	v.want(http.StatusServiceUnavailable, indexName) // no second key frame
	src.untilKey(s)
	src.feed(s, 20)
	eventually(t, "the first playlist", func() bool { return s.out.isReady() })
	_, uri := v.index()
	m := v.media(uri, nil)
	msn, parts := edge(m)
	if got, _ := edge(v.media(uri, reloadQuery(msn, parts+1))); got != msn {
		t.Errorf("playlist went on to %d", got)
	}
	v.want(http.StatusServiceUnavailable, m.PreloadHint.URI)

	long := streaming(t, clip(t, "motion.h264"), Options{Wait: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	gone := later(func() error { _, _, _, err := watch(t, long).fetch(ctx, indexName); return err })
	eventually(t, "the request arrives", long.Watched)
	cancel()
	if receive(t, gone) == nil {
		t.Error("answered a client that has gone")
	}
}

func TestManyViewers(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{Dir: t.TempDir()})
	v := watch(t, s)
	uri := started(t, s, v, src)
	stop := make(chan struct{})
	fed := later(func() struct{} {
		for {
			select {
			case <-stop:
				return struct{}{}
			case <-time.After(time.Millisecond):
				src.feed(s, 1)
			}
		}
	})
	var viewers sync.WaitGroup
	for range 40 {
		viewers.Go(func() {
			for range 15 {
				m := v.media(uri, nil)
				msn, parts := edge(m)
				v.media(uri, reloadQuery(msn, parts))
				v.get(m.PreloadHint.URI)
				v.get(m.Segments[len(m.Segments)-1].URI)
			}
		})
	}
	viewers.Wait()
	close(stop)
	receive(t, fed)
}

package live

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"

	"camfleet.dev/workers/media"
)

// checkMedia loads everything that a playlist names: it must be there, be
// cacheable, and follow on without a hole.
func checkMedia(t testing.TB, v *viewer, m *playlist.Media) {
	t.Helper()
	var init fmp4.Init
	if err := init.Unmarshal(bytes.NewReader([]byte(v.ok(m.Map.URI)))); err != nil {
		t.Fatalf("init: %v", err)
	}
	next := uint64(0)
	samples := 0
	for _, seg := range m.Segments {
		if seg.Gap {
			continue
		}
		whole := v.ok(seg.URI)
		var joined strings.Builder
		for _, p := range seg.Parts {
			joined.WriteString(v.ok(p.URI))
		}
		if len(seg.Parts) > 0 && joined.String() != whole {
			t.Errorf("%s is not its parts joined", seg.URI)
		}
		next, samples = checkFragments(t, whole, next, samples)
	}
	for _, p := range m.Parts {
		next, samples = checkFragments(t, v.ok(p.URI), next, samples)
	}
	if samples == 0 {
		t.Error("no samples")
	}
	_, header, _ := v.get(m.Segments[len(m.Segments)-1].URI)
	if !strings.Contains(header.Get("Cache-Control"), "max-age") {
		t.Errorf("segment is not cacheable: %v", header)
	}
}

func checkFragments(t testing.TB, data string, next uint64, samples int) (uint64, int) {
	t.Helper()
	var parts fmp4.Parts
	if err := parts.Unmarshal([]byte(data)); err != nil {
		t.Fatalf("fragment: %v", err)
	}
	for _, part := range parts {
		for _, track := range part.Tracks {
			if next != 0 && track.BaseTime != next {
				t.Errorf("a fragment begins at %d, the one before ends at %d", track.BaseTime, next)
			}
			next = track.BaseTime
			for _, s := range track.Samples {
				next += uint64(s.Duration)
				samples++
			}
		}
	}
	return next, samples
}

func TestCodecs(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"B-frames":     {"-map", "0", "-c:v", "libx264", "-g", "25", "-bf", "3"},
		"H.264 + AAC":  {"-c:v", "libx264", "-g", "25", "-bf", "0", "-c:a", "aac"},
		"H.265 + Opus": {"-c:v", "libx265", "-x265-params", "keyint=25:log-level=none", "-ac", "2", "-c:a", "libopus"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := film(t, args...)
			s := streaming(t, src, Options{})
			v := watch(t, s)
			uri := started(t, s, v, src)
			src.feed(s, 110)
			settled(t, s)
			master, _ := v.index()
			if want := len(src.tracks); len(master.Variants[0].Codecs) != want {
				t.Errorf("codecs %v, want %d", master.Variants[0].Codecs, want)
			}
			checkMedia(t, v, v.media(uri, nil))
			for _, r := range master.Renditions {
				checkMedia(t, v, v.media(*r.URI, nil))
			}
		})
	}
}

func TestBuiltinBFrames(t *testing.T) {
	t.Parallel()
	src := clip(t, "bframes.ts")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	checkMedia(t, v, v.media(started(t, s, v, src), nil))
}

// TestComesBack: the same camera with the same parameters goes on in the same
// playlist, whatever its timestamps are now.
func TestComesBack(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	uri := started(t, s, v, src)
	before, _ := edge(v.media(uri, nil))

	s.Stop(media.CauseUnreachable)
	v.want(http.StatusServiceUnavailable, indexName)
	// Who watches keeps what there is, and does not wait for more.
	m := v.media(uri, reloadQuery(edge(v.media(uri, nil))))
	v.want(http.StatusServiceUnavailable, m.PreloadHint.URI)
	again := clip(t, "motion.h264")
	for i := range again.units {
		again.units[i].PTS += 1 << 40
		again.units[i].DTS += 1 << 40
	}
	s.Start(again.tracks, true)
	again.untilKey(s)
	again.feed(s, 80)
	eventually(t, "new segments", func() bool { now, _ := edge(v.media(uri, nil)); return now > before })
	checkMedia(t, v, v.media(uri, nil))
	if _, now := v.index(); now != uri {
		t.Errorf("the playlist is %s now, was %s", now, uri)
	}
}

// TestParametersChange: another resolution makes another generation; the old one is gone at once.
func TestParametersChange(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	uri := started(t, s, v, src)
	m := v.media(uri, nil)
	msn, _ := edge(m)
	seg := m.Segments[len(m.Segments)-1].URI
	blocked := later(func() int {
		status, _, _ := v.get(uri + "&" + reloadQuery(msn, 30).Encode())
		return status
	})
	other := clip(t, "quiet.h264")
	s.Start(other.tracks, false)
	if status := receive(t, blocked); status != http.StatusNotFound && status != http.StatusOK {
		t.Errorf("who waited got %d", status)
	}
	v.want(http.StatusNotFound, uri)
	v.want(http.StatusNotFound, seg)
	other.untilKey(s)
	other.feed(s, 60)
	master, now := v.index()
	if now == uri || master.Variants[0].Resolution != "640x360" {
		t.Errorf("after the change: %s, %s", now, master.Variants[0].Resolution)
	}
	checkMedia(t, v, v.media(now, nil))
}

// TestAwayForLong: an output without its camera ends, even when asked for.
func TestAwayForLong(t *testing.T) {
	t.Parallel()
	var clock fakeClock
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{Now: clock.now})
	v := watch(t, s)
	uri := started(t, s, v, src)
	s.Stop(media.CauseStalled)
	clock.advance(DefaultIdle / 2)
	v.media(uri, nil)
	clock.advance(DefaultIdle / 2)
	eventually(t, "the output ends", func() bool { return !s.Watched() })
}

// TestBrokenUnits: nothing that a camera sends panics or ends the view for good.
func TestBrokenUnits(t *testing.T) {
	t.Parallel()
	src := clip(t, "motion.h264")
	s := streaming(t, src, Options{})
	v := watch(t, s)
	uri := started(t, s, v, src)
	for _, u := range []media.Unit{
		{Track: 7}, {Track: -1}, {}, {AU: [][]byte{{}}}, {AU: [][]byte{{0x41}}, PTS: -1 << 60, DTS: -1 << 60},
		{AU: [][]byte{{0x41, 0xff}}, PTS: 1}, {AU: [][]byte{nil, {0x01}}}, {Track: 0, AU: [][]byte{{0x65}}, PTS: -1 << 60, Random: true},
	} {
		s.Write(u)
	}
	src.untilKey(s)
	eventually(t, "the queue is read", func() bool {
		out, _ := s.running(func(*output) bool { return true })
		return out == nil || len(out.queue) == 0
	})
	if status, _, _ := v.get(uri); status != http.StatusOK { // it started anew
		uri = started(t, s, v, src)
	}
	src.feed(s, 60)
	eventually(t, "it goes on", func() bool { status, _, _ := v.get(uri); return status == http.StatusOK })
}

package hls2mpeg

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"camfleet.dev/workers/archive"
)

// times are a track's samples on the file's time line, read from its packed tables.
func (t *track) times() (dts, pts []int64) {
	at := t.start
	for i := 0; i < t.stts.n; i += 2 {
		for range t.stts.at(i) {
			dts = append(dts, at)
			at += int64(t.stts.at(i + 1))
		}
	}
	for i := 0; i < t.ctts.n; i += 2 {
		for range t.ctts.at(i) {
			pts = append(pts, dts[len(pts)]+int64(int32(t.ctts.at(i+1))))
		}
	}
	return dts, pts
}

func TestTimeLine(t *testing.T) {
	second := int64(90000)
	for _, tc := range []struct {
		name     string
		segments []made
		sessions string // one letter per segment
		starts   []int64
		frames   int
		end      int64
	}{
		{"one session, not from zero", []made{{dts: 50 * second, frames: 25}, {dts: 51 * second, frames: 25}}, "aa", []int64{0}, 50, 2 * second},
		{"a new session counts anew", []made{{dts: 50 * second, frames: 25}, {dts: 0, frames: 25}}, "ab", []int64{0, second}, 50, 2 * second},
		{"a lost segment", []made{{frames: 25}, {dts: 3 * second, frames: 25}}, "aa", []int64{0, second}, 50, 2 * second},
		{"time runs backwards", []made{{dts: 9 * second, frames: 25}, {dts: second, frames: 25}}, "aa", []int64{0, second}, 50, 2 * second},
		{"a few lost frames stay", []made{{frames: 25}, {dts: second + second/5, frames: 25}}, "aa", []int64{0}, 50, 2*second + second/5},
		{"a little overlap is squeezed", []made{{frames: 25}, {dts: second - second/5, frames: 25}}, "aa", []int64{0}, 50, 2*second - second/5},
		{"no duration at all", []made{{frames: 25, frame: 0}, {dts: second, frames: 25}}, "aa", []int64{0}, 50, 2 * second},
		{"b-frames", []made{{frames: 25, offsets: []int32{3600, 10800, 3600, 0, 0}}, {dts: second, frames: 25, offsets: []int32{3600, 10800, 3600, 0, 0}}}, "aa", []int64{0}, 50, 0},
		{"b-frames, then none", []made{{frames: 24, offsets: []int32{7200, 10800, 3600}}, {dts: 0, frames: 25}}, "ab", nil, 49, 0},
		{"53 years in", []made{{dts: 1 << 47, frames: 25}, {dts: 1<<47 + second, frames: 25}}, "aa", []int64{0}, 50, 2 * second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCamera(t)
			init := makeInit(t, pps, nil)
			start := noon
			for i, m := range tc.segments {
				m.payload = []byte{0, 0, 0, 1, 9}
				b := m.segment(t)
				c.put(m.entry(uint64(i), start, tc.sessions[i:i+1], len(b)), init, b)
				start = start.Add(10 * time.Second)
			}
			p := planOf(t, c)
			v := p.parts[0].tracks[0]
			dts, pts := v.times()
			if len(p.parts) != 1 || v.samples != tc.frames || len(dts) != tc.frames || len(pts) != tc.frames {
				t.Fatalf("%d parts, %d samples, %d times", len(p.parts), v.samples, len(dts))
			}
			if !slices.IsSorted(dts) || len(slices.Compact(slices.Clone(dts))) != len(dts) {
				t.Errorf("decode times do not grow: %v", dts)
			}
			if slices.Min(pts) != 0 || v.first != 0 || tc.end != 0 && v.end != tc.end {
				t.Errorf("shown from %d to %d, want to %d", v.first, v.end, tc.end)
			}
			var starts []int64
			for _, s := range p.parts[0].stretches {
				starts = append(starts, s.at)
			}
			if tc.starts != nil && !slices.Equal(starts, tc.starts) {
				t.Errorf("stretches at %v, want %v", starts, tc.starts)
			}
			f := written(t, c, p.parts[0])
			info, err := f.Stat()
			c.must(err)
			c.must(verify(f, info.Size(), p.parts[0]))
		})
	}
}

// A part ends where players could not follow: another codec, other sound.
func TestParts(t *testing.T) {
	t.Parallel()
	opus := &codecs.Opus{ChannelCount: 2}
	for _, tc := range []struct {
		name   string
		inits  [][]byte
		parts  int
		tracks []int
	}{
		{"the same", [][]byte{makeInit(t, pps, aac), makeInit(t, pps, aac)}, 1, []int{2}},
		{"other parameters", [][]byte{makeInit(t, pps, aac), makeInit(t, []byte{0x68, 0xcb, 0x8c, 0xb3}, aac)}, 1, []int{2}},
		{"sound comes", [][]byte{makeInit(t, pps, nil), makeInit(t, pps, aac)}, 1, []int{2}},
		{"sound goes", [][]byte{makeInit(t, pps, aac), makeInit(t, pps, nil)}, 1, []int{2}},
		{"other sound", [][]byte{makeInit(t, pps, aac), makeInit(t, pps, opus)}, 2, []int{2, 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCamera(t)
			for i, init := range tc.inits {
				m := made{frames: 25, payload: []byte{0, 0, 0, 1, 9}}
				if tracks, err := parseInit(init); err == nil && len(tracks) == 2 {
					m.sound = 47
				}
				b := m.segment(t)
				e := m.entry(uint64(i), noon.Add(time.Duration(i)*time.Second), string(rune('a'+i)), len(b))
				e.Init = archive.InitName(fmt.Sprintf("%016x", i))
				c.put(e, init, b)
			}
			p := planOf(t, c)
			if len(p.parts) != tc.parts {
				t.Fatalf("%d parts, want %d", len(p.parts), tc.parts)
			}
			c.must(Day(t.Context(), c.options(), date))
			m := c.manifest(date)
			for i, f := range m.Files {
				if len(f.Tracks) != tc.tracks[i] || f.Name != fmt.Sprintf("%s%s.mp4", date, []string{"", "-2"}[i]) {
					t.Errorf("file %d: %+v", i, f)
				}
			}
		})
	}
}

// Sound that begins after and before its picture is neither cut nor moved.
func TestSoundBeginsElsewhere(t *testing.T) {
	for _, at := range []int64{0, 4800, -960} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			c := newCamera(t)
			m := made{dts: 90000, frames: 25, payload: []byte{0, 0, 0, 1, 9}, sound: 40, soundAt: 48000 + at}
			b := m.segment(t)
			c.put(m.entry(0, noon, "a", len(b)), makeInit(t, pps, aac), b)
			pt := planOf(t, c).parts[0]
			video, audio := pt.tracks[0], pt.tracks[1]
			lead := func(t *track) int64 { return scale(t.first-pt.zero(t), t.init.timescale, 48000) }
			if lead(audio)-lead(video) != at || min(lead(audio), lead(video)) != 0 {
				t.Errorf("video begins at %d, audio at %d of 48000", lead(video), lead(audio))
			}
		})
	}
}

func TestHopelessSegments(t *testing.T) {
	payload := []byte{0, 0, 0, 1, 9}
	for _, tc := range []struct {
		name, want string
		made       made
	}{
		{"sound of another time", "mp4a begins 1m40s after avc1", made{frames: 25, payload: payload, sound: 40, soundAt: 4800000}},
		{"as long as a day", "lasts longer than a segment can", made{frames: 25, payload: payload, frame: 90000 * 3600}},
		{"after the sun", "a decode time of", made{dts: 1 << 60, frames: 25, payload: payload}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCamera(t)
			good := made{frames: 25, payload: payload}
			for i, m := range []made{good, tc.made, good} {
				b := m.segment(t)
				e := m.entry(uint64(i), noon.Add(time.Duration(i)*time.Second), "a", len(b))
				c.put(e, makeInit(t, pps, aac), b)
			}
			p := planOf(t, c)
			if len(p.skipped) != 1 || !strings.Contains(p.skipped[0].Reason, tc.want) || p.parts[0].tracks[0].samples != 50 {
				t.Errorf("skipped %+v", p.skipped)
			}
		})
	}
}

// Between sessions, sound that reaches into the next one's picture is waited for
// up to a frame; the rest of what is too much is left out, and both stay in step.
func TestSoundBetweenSessions(t *testing.T) {
	for _, tc := range []struct {
		name    string
		first   int   // sound samples in the first second
		lead    int64 // of the second session's sound, in its ticks
		begins  int64 // of the second picture
		samples int   // of sound, in all
	}{
		{"shorter", 40, 0, 90000, 40 + 47},
		{"a little longer", 47, 0, 90000 + 241, 47 + 47},
		{"a little earlier", 46, 1000, 90000 + 196, 46 + 47},
		{"much longer", 60, 0, 90000 + 3600, 60 + 47 - 12},
		{"much earlier", 46, 24000, 90000 + 3600, 46 + 47 - 21},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCamera(t)
			for i, m := range []made{
				{frames: 25, sound: tc.first},
				{dts: 90000, frames: 25, sound: 47, soundAt: 48000 - tc.lead},
			} {
				m.payload = []byte{0, 0, 0, 1, 9}
				b := m.segment(t)
				c.put(m.entry(uint64(i), noon.Add(time.Duration(i)*time.Minute), string(rune('a'+i)), len(b)), makeInit(t, pps, aac), b)
			}
			pt := planOf(t, c).parts[0]
			if at := pt.stretches[1].at; at != tc.begins || pt.tracks[1].samples != tc.samples {
				t.Errorf("the second picture begins at %d, want %d; %d samples of sound, want %d", at, tc.begins, pt.tracks[1].samples, tc.samples)
			}
			dts, pts := pt.tracks[1].times()
			if !slices.Equal(dts, pts) {
				t.Error("sound is not heard when it is decoded")
			}
			for i := range dts[1:] {
				if dts[i+1]-dts[i] < 1024 {
					t.Errorf("sample %d of sound lasts %d", i, dts[i+1]-dts[i])
				}
			}
			f := written(t, c, pt)
			info, err := f.Stat()
			c.must(err)
			c.must(verify(f, info.Size(), pt))
		})
	}
}

package rtsp2hls

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"camfleet.dev/schema"
	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/fakecam"
	"camfleet.dev/workers/media"
)

// tape captures what a camera hands to its sinks, so that tests can play it again.
type tape struct {
	mutex  sync.Mutex
	tracks []media.Track
	units  []media.Unit
	starts int
	stops  []media.Cause
}

func (s *tape) Start(tracks []media.Track, _ bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.tracks = tracks
	s.starts++
}

func (s *tape) Write(u media.Unit) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.units = append(s.units, u)
}

func (s *tape) Stop(cause media.Cause) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stops = append(s.stops, cause)
}

func (s *tape) length() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.units)
}

// record1 plays units into a recorder of its own and returns what is in its archive.
func record1(t *testing.T, c schema.Recording, play func(*recorder)) []archive.Located {
	t.Helper()
	dir := archive.Dir(t.TempDir())
	log := slog.New(slog.DiscardHandler)
	w := newSegmentWriter(log, nil, systemClock{}, archive.Options{Dir: dir, Log: log})
	go w.run(context.Background())
	play(newRecorder(log, w, c))
	w.stop()
	all, err := archive.Scan(context.Background(), dir, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := archive.Check(context.Background(), dir)
	if err != nil || report.Err() != nil {
		t.Errorf("archive: %v, %v", err, report.Err())
	}
	return all
}

// film is n frames at 25 fps with a key frame every gop, of a track that a real camera described.
func film(t *testing.T) (tracks []media.Track, frames func(n, gop int) []media.Unit) {
	t.Helper()
	live := &tape{}
	r := newRig(t, fakecam.Camera{})
	r.options.Config.Recording.Enabled = false
	r.options.Live = live
	r.record()
	r.until("a frame", func() bool { return live.length() > 0 })
	r.stop()
	if len(live.stops) != 1 || live.stops[0] != media.CauseStopped || live.starts != 1 {
		t.Errorf("the live view was started %d times and stopped for %v", live.starts, live.stops)
	}
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	return live.tracks, func(n, gop int) []media.Unit {
		var all []media.Unit
		for i := range n {
			pts := int64(i) * 3600
			all = append(all, media.Unit{
				Time: begin.Add(time.Duration(i) * 40 * time.Millisecond), PTS: pts, DTS: pts,
				AU: live.units[0].AU, Random: i%gop == 0,
			})
		}
		return all
	}
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	tracks, frames := film(t)
	for _, c := range []struct {
		name    string
		segment time.Duration
		n, gop  int
		want    []int // frames of each segment
	}{
		{"one frame is not lost", 2 * time.Second, 1, 1, []int{1}},
		{"cut at key frames", 2 * time.Second, 125, 25, []int{50, 50, 25}},
		{"key frames are rare", time.Second, 130, 50, []int{50, 50, 30}},
		{"key frames are many", time.Second, 60, 5, []int{25, 25, 10}},
		{"no key frame after the first", 10 * time.Second, 25 * 70, 1 << 30, []int{25 * 60, 25 * 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			all := record1(t, schema.Recording{Enabled: true, Segment: schema.Duration(c.segment)}, func(r *recorder) {
				r.Start(tracks, true)
				for _, u := range frames(c.n, c.gop) {
					r.Write(u)
				}
				r.Stop(media.CauseStopped)
			})
			if len(all) != len(c.want) {
				t.Fatalf("%d segments, want %v", len(all), c.want)
			}
			for i, e := range all {
				if e.Frames != c.want[i] || e.Duration != int64(c.want[i])*3600 {
					t.Errorf("segment %d: %d frames, %d ticks; want %d frames", i, e.Frames, e.Duration, c.want[i])
				}
			}
		})
	}
}

func TestRecorderForgetsBrokenTracks(t *testing.T) {
	t.Parallel()
	all := record1(t, schema.Recording{Enabled: true, Segment: schema.Duration(time.Second)}, func(r *recorder) {
		r.Write(media.Unit{Random: true}) // before Start
		r.Start([]media.Track{{Codec: "vp9", ClockRate: 90000}}, true)
		r.Write(media.Unit{Random: true, AU: [][]byte{{1, 2}}})
		r.Stop(media.CauseUnsupported)
	})
	if len(all) != 0 {
		t.Errorf("%d segments", len(all))
	}
}

// slowDisk does not finish writing before it is let.
type slowDisk struct {
	archive.OS
	gate chan struct{}
}

func (d slowDisk) OpenFile(op, name string, flag int) (archive.File, error) {
	f, err := d.OS.OpenFile(op, name, flag)
	return slowFile{f, d.gate}, err
}

type slowFile struct {
	archive.File
	gate chan struct{}
}

func (f slowFile) Sync() error {
	<-f.gate
	return f.File.Sync()
}

// TestSlowDisk: the camera is not held up, memory is bounded, and the newest
// is dropped and said, until the disk is back.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	tracks, frames := film(t)
	dir := archive.Dir(t.TempDir())
	log := slog.New(slog.DiscardHandler)
	disk := slowDisk{gate: make(chan struct{})}
	w := newSegmentWriter(log, nil, systemClock{}, archive.Options{Dir: dir, Log: log, FS: disk})
	go w.run(context.Background())
	r := newRecorder(log, w, schema.Recording{Enabled: true, Segment: schema.Duration(time.Second)})
	r.Start(tracks, true)
	units := frames(25*200, 25)
	for i, u := range units {
		if i == 25*190 {
			close(disk.gate)
			for deadline := time.Now().Add(deadline); w.backlog.Load() > 0 || len(w.jobs) > 0; runtime.Gosched() {
				if time.Now().After(deadline) {
					t.Fatal("the disk does not catch up")
				}
			}
		}
		r.Write(u)
		if w.backlog.Load() > maxBacklog+2*maxFragment || len(w.jobs) > cap(w.jobs)-2 {
			t.Fatalf("frame %d: %d bytes and %d jobs wait", i, w.backlog.Load(), len(w.jobs))
		}
	}
	if w.trouble.Load() == nil {
		t.Error("nothing was said")
	}
	r.Stop(media.CauseStopped)
	w.stop()
	all, err := archive.Scan(context.Background(), dir, time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if s := sessions(all); len(s) != 2 || s[1].Gap == nil || s[1].Gap.Cause != string(media.CauseStorage) {
		t.Errorf("%d sessions, want two and a gap by the storage between them", len(s))
	}
	if end := all[len(all)-1].End(); end.Before(units[len(units)-1].Time) {
		t.Errorf("recorded up to %v only", end)
	}
	if _, err := os.Stat(all[0].Path); err != nil {
		t.Error(err)
	}
}

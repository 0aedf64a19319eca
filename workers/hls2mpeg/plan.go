package hls2mpeg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"camfleet.dev/workers/archive"
)

const (
	// A break in decode times that is longer than this is a gap even in a session.
	maxDrift = 500 * time.Millisecond
	// In a segment, sound begins at most this long after or before its picture.
	maxLag = 10 * time.Second
)

// source is a segment that is in a file that is made.
type source struct {
	start    int64 // Unix milliseconds: its name
	size     int64 // bytes of the segment file
	at       int64 // its first shown frame on the file's time line, in ticks of the file's first track
	duration int64 // in ticks of archive.Timescale, as journalled
	frames   int32
	spans    int32
	sets     []byte // what is written before the spans: parameter sets, or nothing
}

// part is one file that is made.
type part struct {
	tracks    []*track // the first is the one that time is told by: video
	sources   []source
	spans     []span
	stretches []Stretch
	bytes     int64 // media
}

// plan is what pass 1 finds out: everything but the media itself.
type plan struct {
	parts    []*part
	gaps     []Gap
	skipped  []Skipped
	sessions int
}

func (p *plan) bytes() (n int64) {
	for _, pt := range p.parts {
		n += pt.bytes
	}
	return n
}

// free gives the tables' memory back; the plan must not be used after.
func (p *plan) free() {
	for _, pt := range p.parts {
		for _, t := range pt.tracks {
			t.free()
		}
	}
}

// planner makes a plan out of segments, given in the order of their recording.
type planner struct {
	dir  archive.Dir
	log  *slog.Logger
	from time.Time
	plan plan
	// inBand puts the parameter sets into the first sample of every segment.
	inBand bool

	inits   map[string][]initTrack
	seg     segment
	last    archive.Entry // the newest that is in the plan
	skipped bool          // something since last
	shift   int64         // of the running stretch: from the segment's to the file's time line
	next    int64         // decode time that continues the stretch
}

func newPlanner(dir archive.Dir, from time.Time, log *slog.Logger) *planner {
	return &planner{dir: dir, log: log, from: from, inits: map[string][]initTrack{}}
}

// makePlan is pass 1. Where a video's parameters change within a file, it is
// done again: then every segment has to carry its own.
func makePlan(ctx context.Context, dir archive.Dir, from, to time.Time, pick func(archive.Entry) bool, log *slog.Logger) (*planner, error) {
	p := newPlanner(dir, from, log)
	if err := p.scan(ctx, from, to, pick); err != nil {
		p.plan.free()
		return nil, err
	}
	if p.changes() {
		p.plan.free()
		p = newPlanner(dir, from, slog.New(slog.DiscardHandler)) // it has been said
		p.inBand = true
		if err := p.scan(ctx, from, to, pick); err != nil {
			p.plan.free()
			return nil, err
		}
	}
	if len(p.plan.parts) == 0 {
		return nil, p.plan.empty()
	}
	return p, nil
}

// changes says whether the parameters of a video change within a file.
func (p *planner) changes() bool {
	for _, pt := range p.plan.parts {
		if len(pt.tracks[0].entries) > 1 {
			return true
		}
	}
	return false
}

// scan adds the segments that pick wants, an hour of the journal at a time: a
// day's entries at once would be the largest thing in memory.
func (p *planner) scan(ctx context.Context, from, to time.Time, pick func(archive.Entry) bool) error {
	for hour := from; hour.Before(to); hour = hour.Add(time.Hour) {
		end := hour.Add(time.Hour)
		if end.After(to) {
			end = to
		}
		found, err := archive.Scan(ctx, p.dir, hour, end)
		if err != nil {
			return fmt.Errorf("reading the journal of %s: %w", p.dir, err)
		}
		for _, l := range found {
			// What overlaps two hours is found in both.
			if at := l.Time(); !pick(l.Entry) || !at.Before(end) || at.Before(hour) && hour.After(from) {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			p.add(l)
		}
	}
	for _, pt := range p.plan.parts {
		for _, t := range pt.tracks {
			t.finish()
		}
	}
	return nil
}

// add adds a segment, or says why it cannot.
func (p *planner) add(l archive.Located) {
	size, init, err := p.read(l)
	if err != nil {
		rel, _ := filepath.Rel(string(p.dir), l.Path)
		p.log.Warn("a segment is left out", "segment", rel, "error", err)
		p.plan.skipped = append(p.plan.skipped, Skipped{
			Segment: filepath.ToSlash(rel), Start: l.Start, Seconds: l.Length().Seconds(), Reason: err.Error(),
		})
		p.skipped = true
		return
	}
	p.place(l.Entry, size, init)
	p.last, p.skipped = l.Entry, false
}

// read reads the segment's moof boxes into p.seg.
func (p *planner) read(l archive.Located) (size int64, init []initTrack, err error) {
	init, ok := p.inits[l.Init]
	if !ok {
		if init, err = readInit(l.InitPath); err != nil {
			return 0, nil, err
		}
		p.inits[l.Init] = init // named after its content: the same in every hour
	}
	f, err := os.Open(l.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, errors.New("the file is gone")
	} else if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, nil, err
	}
	if !info.Mode().IsRegular() {
		return 0, nil, errors.New("not a file")
	}
	if size = info.Size(); size < l.Bytes {
		return 0, nil, fmt.Errorf("%w: the journal says %d bytes, the file has %d", errCut, l.Bytes, size)
	}
	if err := p.seg.read(f, size, init); err != nil {
		return 0, nil, err
	}
	if len(p.seg.tracks[0].samples) == 0 {
		return 0, nil, fmt.Errorf("no %s samples", init[0].codec())
	}
	for i, t := range p.seg.tracks[1:] {
		if lag := p.seg.lag(i+1, init); len(t.samples) > 0 && (lag > maxLag || lag < -maxLag) {
			return 0, nil, fmt.Errorf("%s begins %v after %s", init[i+1].codec(), lag, init[0].codec())
		}
	}
	return size, init, nil
}

// place gives the segment in p.seg its place on the time line.
func (p *planner) place(e archive.Entry, size int64, init []initTrack) {
	ref := &p.seg.tracks[0]
	begins := p.begins(e, init[0].timescale, ref.samples[0].dts)
	pt := p.part(init)
	if pt == nil || begins && !p.fits(pt, init) {
		pt = &part{}
		p.plan.parts = append(p.plan.parts, pt)
		begins = true
	}
	shown := ref.shown()
	if begins {
		at := p.after(pt, init, shown)
		p.begin(pt, e, at)
		p.shift = at - shown
	}
	s := &pt.stretches[len(pt.stretches)-1]
	s.Segments++
	pt.sources = append(pt.sources, source{
		start: e.Start, size: size, at: shown + p.shift, duration: e.Duration, frames: int32(len(ref.samples)),
	})
	if p.inBand && init[0].sets != nil {
		pt.sources[len(pt.sources)-1].sets = init[0].sets
		ref.samples[0].size += uint32(len(init[0].sets))
		ref.bytes += int64(len(init[0].sets))
	}
	for i := range p.seg.tracks {
		p.addTrack(pt, &init[i], init[0].timescale, &p.seg.tracks[i], begins && i > 0)
	}
	s.end = pt.tracks[0].end
	last := ref.samples[len(ref.samples)-1]
	p.next = last.dts + int64(last.duration)
}

// begins says whether e does not continue what is before it.
func (p *planner) begins(e archive.Entry, timescale uint32, dts int64) bool {
	drift := dts - p.next
	limit := int64(timescale) * int64(maxDrift) / int64(time.Second)
	return len(p.plan.parts) == 0 || e.Session != p.last.Session || e.Gap != nil || drift > limit || drift < -limit
}

// after is where on the part's time line a new stretch begins. Sound ends up to
// a frame of its own after the picture, and decoders do not take two sounds at
// once: to wait for it keeps all of it, and both in step. But no longer than a
// picture lasts: the file plays what was recorded, to one frame per session.
func (p *planner) after(pt *part, init []initTrack, shown int64) int64 {
	if len(pt.tracks) == 0 {
		return 0
	}
	ref := pt.tracks[0]
	at := ref.end
	for i := range p.seg.tracks[1:] {
		in, t := &p.seg.tracks[i+1], pt.track(init[i+1].handler)
		if t == nil || len(in.samples) == 0 {
			continue
		}
		lead := shown - scale(in.samples[0].pts, t.init.timescale, ref.init.timescale)
		at = max(at, scale(t.end, t.init.timescale, ref.init.timescale)+1+lead)
	}
	return min(at, ref.end+int64(ref.duration))
}

// begin begins a stretch of e on the part's time line, and notes the gap before it.
func (p *planner) begin(pt *part, e archive.Entry, at int64) {
	if e.Session != p.last.Session {
		p.plan.sessions++
	}
	pt.stretches = append(pt.stretches, Stretch{Session: e.Session, Start: e.Start, at: at})
	switch {
	case e.Gap != nil:
		p.gap(e.Gap.Since, e.Start, e.Gap.Cause)
	case p.skipped:
		p.gap(p.last.End().UnixMilli(), e.Start, CauseDamaged)
	case p.last.Session != "":
		p.gap(p.last.End().UnixMilli(), e.Start, "")
	}
}

// gap notes a gap; less than a frame or two is none.
func (p *planner) gap(since, until int64, cause string) {
	since = max(since, p.from.UnixMilli())
	if until-since > 100 {
		p.plan.gaps = append(p.plan.gaps, Gap{Since: since, Until: until, Cause: cause})
	}
}

// part is the part that is being made, if the segment's tracks can be in it.
func (p *planner) part(init []initTrack) *part {
	if len(p.plan.parts) == 0 {
		return nil
	}
	pt := p.plan.parts[len(p.plan.parts)-1]
	if pt.tracks[0].init.handler != init[0].handler {
		return nil
	}
	for i := range init {
		if t := pt.track(init[i].handler); t != nil && !t.init.sameFile(&init[i]) {
			return nil
		}
	}
	return pt
}

// fits says whether a new stretch at the part's end leaves no track silent for
// longer than a duration can say.
func (p *planner) fits(pt *part, init []initTrack) bool {
	for i := range init {
		t := pt.track(init[i].handler)
		if t != nil && !t.fits(scale(pt.tracks[0].end, pt.tracks[0].init.timescale, t.init.timescale)) {
			return false
		}
	}
	return true
}

func (pt *part) track(handler fourCC) *track {
	for _, t := range pt.tracks {
		if t.init.handler == handler {
			return t
		}
	}
	return nil
}

// addTrack adds the segment's samples of one track: one chunk. With cut, those
// that would begin before the track's last one has ended are left out.
func (p *planner) addTrack(pt *part, init *initTrack, ref uint32, in *segmentTrack, cut bool) {
	shift := scale(p.shift, ref, init.timescale)
	t := pt.track(init.handler)
	if cut && t != nil {
		in.dropBefore(t.end - shift)
	}
	if len(in.samples) == 0 {
		return
	}
	if t == nil {
		t = &track{init: *init}
		pt.tracks = append(pt.tracks, t)
	}
	t.chunks.add(len(in.samples), t.entry(init.entry), pt.bytes)
	for _, s := range in.samples {
		t.add(s, s.dts+shift, s.pts+shift)
	}
	pt.bytes += in.bytes
	pt.spans = append(pt.spans, in.spans...)
	pt.sources[len(pt.sources)-1].spans += int32(len(in.spans))
}

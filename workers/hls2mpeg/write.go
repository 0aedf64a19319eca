package hls2mpeg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"camfleet.dev/workers/archive"
)

// errChanged says that a segment is not what pass 1 saw: retention has dropped
// it since. The plan has to be made again.
var errChanged = errors.New("a segment changed or went away while it was copied")

// copier is pass 2: it copies the segments' media behind the header.
type copier struct {
	dir      archive.Dir
	out      *sink
	progress func(n int64) // bytes of media copied since the last call
}

// writePart writes a whole part into out, which is empty, and returns its
// SHA-256. The caller syncs.
func writePart(ctx context.Context, dir archive.Dir, pt *part, out *os.File, progress func(n int64)) (sum string, err error) {
	c := copier{dir: dir, out: newSink(out), progress: progress}
	defer func() {
		s, cerr := c.out.close()
		if sum = s; err == nil {
			err = cerr
		}
	}()
	if err := pt.writeHeader(c.out); err != nil {
		return "", fmt.Errorf("writing the header: %w", err)
	}
	spans := pt.spans
	for _, s := range pt.sources {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		path := c.dir.Segment(time.UnixMilli(s.start))
		if err := c.segment(path, s, spans[:s.spans]); err != nil {
			return "", fmt.Errorf("copying %s: %w", path, err)
		}
		spans = spans[s.spans:]
	}
	return "", nil
}

// segment copies a segment file's spans, behind its parameter sets if they are wanted.
func (c *copier) segment(path string, s source, spans []span) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return errChanged
	} else if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != s.size {
		return errChanged
	}
	from := c.out.at
	if _, err := c.out.Write(s.sets); err != nil {
		return err
	}
	sparse := holes(info)
	for _, sp := range spans {
		if sparse {
			err = copySparse(c.out, f, sp)
		} else {
			err = c.out.copy(f, sp)
		}
		if err != nil {
			return err
		}
	}
	if c.progress != nil {
		c.progress(c.out.at - from)
	}
	return nil
}

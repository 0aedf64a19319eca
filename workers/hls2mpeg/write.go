package hls2mpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"camfleet.dev/workers/archive"
)

// flushEvery is after how many bytes the disk is told to begin writing, and the
// hash to go on reading: so that neither is left for the end.
const flushEvery = 8 << 20

// errChanged says that a segment is not what pass 1 saw: retention has dropped
// it since. The plan has to be made again.
var errChanged = errors.New("a segment changed or went away while it was copied")

// copier is pass 2: it copies the segments' media behind the header.
type copier struct {
	dir      archive.Dir
	out      *os.File
	follow   *follower
	progress func(n int64) // bytes of media copied since the last call

	flushed, written int64
}

// write writes a whole part into out, which is empty, and returns the SHA-256
// of it. The caller syncs.
func (c *copier) write(ctx context.Context, pt *part) (hash string, err error) {
	c.follow = follow(c.out)
	defer func() {
		h, ferr := c.follow.finish(c.written)
		if hash = h; err == nil {
			err = ferr
		}
	}()
	if err := pt.writeHeader(c.out); err != nil {
		return "", fmt.Errorf("writing the header: %w", err)
	}
	_, c.written = pt.header()
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

// segment copies the spans of a segment file; within the kernel, where the file
// system can (io.Copy between files is copy_file_range).
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
	if len(s.sets) > 0 {
		if _, err := c.out.Write(s.sets); err != nil {
			return err
		}
		if err := c.advance(int64(len(s.sets))); err != nil {
			return err
		}
	}
	copyRange := copySpan
	if holes(info) {
		copyRange = copySparse
	}
	for i := 0; i < len(spans); {
		sp := spans[i]
		for i++; i < len(spans) && spans[i].offset == sp.offset+sp.size; i++ {
			sp.size += spans[i].size
		}
		if err := copyRange(c.out, f, sp, c.written); err != nil {
			return err
		}
		if err := c.advance(sp.size); err != nil {
			return err
		}
	}
	return nil
}

func (c *copier) advance(n int64) error {
	c.written += n
	if c.progress != nil {
		c.progress(n)
	}
	if c.written-c.flushed < flushEvery {
		return nil
	}
	if err := startWriteback(c.out, c.flushed, c.written-c.flushed); err != nil {
		return err
	}
	c.flushed = c.written
	c.follow.upTo(c.written)
	return nil
}

func copySpan(out, in *os.File, sp span, _ int64) error {
	if _, err := in.Seek(sp.offset, io.SeekStart); err != nil {
		return err
	}
	_, err := io.CopyN(out, in, sp.size)
	if errors.Is(err, io.EOF) {
		return errChanged
	}
	return err
}

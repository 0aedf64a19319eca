package hls2mpeg

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// follower hashes a file while it is being written. The media is copied inside
// the kernel, so it has to be read back; right behind the writer it comes from
// the page cache, and on another core it costs no time.
type follower struct {
	r      io.ReaderAt
	limits chan int64
	done   chan struct{}
	sum    hash.Hash
	err    error // after done
}

func follow(r io.ReaderAt) *follower {
	f := &follower{r: r, limits: make(chan int64, 4), done: make(chan struct{}), sum: sha256.New()}
	go f.run()
	return f
}

func (f *follower) run() {
	defer close(f.done)
	buf := make([]byte, 256<<10)
	var at int64
	for limit := range f.limits {
		if f.err != nil {
			continue // so that upTo does not wait for ever
		}
		n, err := io.CopyBuffer(writerOnly{f.sum}, io.NewSectionReader(f.r, at, limit-at), buf)
		if at += n; err != nil || at < limit {
			f.err = fmt.Errorf("reading back byte %d of what was written: %w", at, orCut(err))
		}
	}
}

// writerOnly hides any ReadFrom, so that CopyBuffer uses its buffer.
type writerOnly struct{ io.Writer }

func orCut(err error) error {
	if err == nil {
		return errCut
	}
	return err
}

// upTo lets the follower read up to limit. It waits while the follower is far
// behind, so that what it reads is still in memory.
func (f *follower) upTo(limit int64) { f.limits <- limit }

// finish reads up to size and returns the hash of everything.
func (f *follower) finish(size int64) (string, error) {
	f.limits <- size
	close(f.limits)
	<-f.done
	return hex.EncodeToString(f.sum.Sum(nil)), f.err
}

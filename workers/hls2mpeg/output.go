package hls2mpeg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"camfleet.dev/workers/archive"
)

// partSuffix marks a file that is not finished. Who makes it holds its flock, so
// what is left of a killed process is told from what another one is making.
const partSuffix = ".part"

// ErrBusy: another process is making the same file.
var ErrBusy = errors.New("another process is making this file")

// output makes the files of a plan: all of them under temporary names, then all
// of them under their own.
type output struct {
	dir      archive.Dir
	path     string // of the first part; the others are <name>-2.mp4 …
	progress func(done, total int64)

	open []*os.File
	done int64
}

// partPath is the path of the nth part of path, counted from 0.
func partPath(path string, n int) string {
	if n == 0 {
		return path
	}
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + "-" + strconv.Itoa(n+1) + ext
}

// make makes the files. Whatever goes wrong, no half file is under a final name.
func (o *output) make(ctx context.Context, p *plan) (files []File, err error) {
	defer func() { err = errors.Join(err, o.close(err != nil)) }()
	o.done = 0
	if err := room(filepath.Dir(o.path), p.size()); err != nil {
		return nil, err
	}
	for i, pt := range p.parts {
		f, err := o.makePart(ctx, pt, partPath(o.path, i), p.bytes())
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	for i, f := range o.open {
		if err := os.Rename(f.Name(), partPath(o.path, i)); err != nil {
			return nil, err
		}
	}
	return files, syncDir(filepath.Dir(o.path))
}

func (o *output) makePart(ctx context.Context, pt *part, path string, total int64) (File, error) {
	f, err := openPart(path + partSuffix)
	if err != nil {
		return File{}, err
	}
	o.open = append(o.open, f)
	hash, err := writePart(ctx, o.dir, pt, f, func(n int64) {
		if o.done += n; o.progress != nil {
			o.progress(o.done, total)
		}
	})
	if err != nil {
		return File{}, err
	}
	if err := f.Sync(); err != nil {
		return File{}, fmt.Errorf("syncing %s: %w", f.Name(), err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return File{}, err
	}
	if err := verify(f, size, pt); err != nil {
		return File{}, fmt.Errorf("checking %s after it was written: %w", f.Name(), err)
	}
	return pt.file(filepath.Base(path), size, hash), nil
}

// openPart opens and locks the temporary file, empty.
func openPart(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, err
		}
		ours, err := lockPart(f)
		if ours && err == nil {
			if err = f.Truncate(0); err == nil {
				return f, nil
			}
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}

// lockPart locks f. False: whoever had it has renamed or removed it meanwhile.
func lockPart(f *os.File) (bool, error) {
	ours, err := lock(f)
	if err != nil {
		return false, err
	}
	if !ours {
		return false, fmt.Errorf("%s: %w", f.Name(), ErrBusy)
	}
	opened, err := f.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(opened, named), err
}

// close closes the files, and removes them first if they are of no use.
func (o *output) close(remove bool) (err error) {
	for _, f := range o.open {
		if remove {
			if rerr := os.Remove(f.Name()); !errors.Is(rerr, fs.ErrNotExist) {
				err = errors.Join(err, rerr)
			}
		}
		err = errors.Join(err, f.Close())
	}
	o.open = nil
	return err
}

// sweep removes what a killed process has left in a folder.
func sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, "*"+partSuffix))
	for _, path := range left {
		f, oerr := os.OpenFile(path, os.O_RDWR, 0)
		if oerr != nil {
			continue
		}
		if ours, lerr := lockPart(f); ours && lerr == nil {
			err = errors.Join(err, os.Remove(path))
		}
		f.Close()
	}
	return err
}

// size is the size of all files of the plan.
func (p *plan) size() (n int64) {
	for _, pt := range p.parts {
		_, header := pt.header()
		n += header + pt.bytes
	}
	return n
}

// file describes a part, in the manifest's words.
func (pt *part) file(name string, size int64, hash string) File {
	ref := pt.tracks[0]
	seconds := func(ticks int64) float64 { return float64(ticks) / float64(ref.init.timescale) }
	f := File{Name: name, Bytes: size, SHA256: hash, Seconds: float64(pt.duration()) / movieScale}
	for _, t := range pt.tracks {
		f.Tracks = append(f.Tracks, Track{
			Codec: t.init.codec().String(), Samples: t.samples, ParameterSets: len(t.entries),
			Width: int(t.init.width), Height: int(t.init.height),
		})
	}
	for _, s := range pt.stretches {
		s.At, s.Seconds = seconds(s.at-pt.zero(ref)), seconds(s.end-s.at)
		f.Stretches = append(f.Stretches, s)
	}
	return f
}

package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// live checks I6: live.m3u8 lists a run of the newest entries.
func (c *checker) live() {
	path := filepath.Join(string(c.dir), LiveName)
	data, err := os.ReadFile(path)
	if err != nil {
		c.note(path, "%v", err)
		return
	}
	list, err := ParsePlaylist(data)
	if err != nil {
		c.problem(path, "%v", err)
		return
	}
	if list.Ended || list.Type != Sliding {
		c.problem(path, "type %q, ended: %v; it never ends", list.Type, list.Ended)
	}
	next := list.Sequence + uint64(len(list.Items))
	if c.report.Segments > 0 && next <= c.report.Last.Seq {
		c.note(path, "its next sequence is %d, the journal's newest is %d", next, c.report.Last.Seq)
	}
	if len(list.Items) == 0 {
		return
	}
	var run []Entry
	for _, e := range c.tail {
		if e.Seq >= list.Sequence && e.Seq < next {
			run = append(run, e)
		}
	}
	if len(run) != len(list.Items) {
		c.problem(path, "%d entries, the journals have %d of them", len(list.Items), len(run))
		c.targets(path, list)
		return
	}
	c.compare(path, list, playlistOf(run, list.Target, fromCamera))
}

// index checks I7: index.json says what is there.
func (c *checker) index() {
	path := filepath.Join(string(c.dir), IndexName)
	have, err := ReadIndex(c.dir)
	if err != nil {
		c.note(path, "%v", err)
		return
	}
	want, err := makeIndex(OS{}, c.dir)
	if err != nil {
		c.problem(path, "%v", err)
		return
	}
	if !reflect.DeepEqual(have, want) {
		c.note(path, "it says %+v; there is %+v", have, want)
	}
}

// leftovers notes what is half done in the folders above the hours.
func (c *checker) leftovers() {
	for _, pattern := range []string{"*" + tempSuffix, "*/*" + tempSuffix, trashName + "/*"} {
		found, _ := filepath.Glob(filepath.Join(string(c.dir), pattern))
		for _, path := range found {
			c.note(path, "left over")
		}
	}
	days, _ := filepath.Glob(filepath.Join(string(c.dir), DaysFolder, "*.mp4"))
	for _, path := range days {
		manifest := strings.TrimSuffix(path, ".mp4") + ".json"
		if _, err := os.Stat(manifest); err != nil {
			c.note(path, "a day file without its manifest")
		}
	}
}

// checkInit checks I4: an initialization segment is what its name says.
func checkInit(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if name := initNameOf(data); name != filepath.Base(path) {
		return fmt.Errorf("%s holds %s", filepath.Base(path), name)
	}
	return nil
}

// checkSegment checks I3: a segment has its journalled size and is nothing but
// whole boxes, each moof followed by its mdat (ISO/IEC 14496-12).
func checkSegment(path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != size {
		return fmt.Errorf("%s has %d bytes, the journal says %d", filepath.Base(path), info.Size(), size)
	}
	if err := walkBoxes(f, size); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return nil
}

func walkBoxes(r io.ReaderAt, size int64) error {
	fragments, open := 0, false
	for at := int64(0); at < size; {
		kind, length, err := readBox(r, at, size)
		if err != nil {
			return fmt.Errorf("at byte %d: %w", at, err)
		}
		switch {
		case kind == "moof" && open, kind == "mdat" && !open:
			return fmt.Errorf("at byte %d: %s out of turn", at, kind)
		case kind == "moof":
			open = true
		case kind == "mdat":
			open = false
			fragments++
		}
		at += length
	}
	if fragments == 0 || open {
		return errors.New("no whole fragment")
	}
	return nil
}

// readBox reads a box's header: 32-bit size, or 64-bit where that is 1.
func readBox(r io.ReaderAt, at, size int64) (kind string, length int64, err error) {
	var head [16]byte
	n, err := r.ReadAt(head[:min(16, size-at)], at)
	if err != nil && !errors.Is(err, io.EOF) || n < 8 {
		return "", 0, errors.New("a box is cut off")
	}
	length, least := int64(binary.BigEndian.Uint32(head[:4])), int64(8)
	if length == 1 {
		if n < 16 {
			return "", 0, errors.New("a box is cut off")
		}
		length, least = int64(binary.BigEndian.Uint64(head[8:16])), 16
	}
	if length < least || length > size-at {
		return "", 0, fmt.Errorf("a box of %d bytes where %d are left", length, size-at)
	}
	return string(head[4:8]), length, nil
}

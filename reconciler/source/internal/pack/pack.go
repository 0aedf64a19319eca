// Package pack reads what a Git server sends: a pack, into memory that is
// bounded by what the caller says, whatever the pack says of itself.
//
// go-git's own reader takes the sizes in a pack for true; a pack of a few
// kilobytes can hold gigabytes of zeros.
package pack

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
)

// Object is an object of a repository. Data is nil when only its size is kept.
type Object struct {
	Type plumbing.ObjectType
	Size int64
	Data []byte
}

// Objects are objects by their hashes.
type Objects map[plumbing.Hash]Object

// Errors of Read.
var (
	// ErrTooLarge is a pack that holds more than may be read.
	ErrTooLarge = errors.New("too large")
	// ErrNoBase is a pack with a difference to an object that is not there.
	ErrNoBase = errors.New("a difference to an object that is not there")
	// ErrDamaged is everything else that is wrong with a pack.
	ErrDamaged = errors.New("the pack is damaged")
)

// maxObjects bounds what is kept for each object, beside its content.
const maxObjects = 200_000

// Read unpacks data. Differences may be to objects of have (a thin pack). The
// objects, unpacked, have at most limit bytes together.
func Read(data []byte, have Objects, limit int64) (Objects, error) {
	const header, trailer = 12, sha1.Size
	if len(data) < header+trailer || string(data[:4]) != "PACK" || binary.BigEndian.Uint32(data[4:]) != 2 {
		return nil, fmt.Errorf("%w: it does not begin like one", ErrDamaged)
	}
	body := data[:len(data)-trailer]
	if sum := sha1.Sum(body); !bytes.Equal(sum[:], data[len(body):]) {
		return nil, fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	count := binary.BigEndian.Uint32(data[8:])
	if count > maxObjects {
		return nil, fmt.Errorf("%w: %d objects, at most %d are read", ErrTooLarge, count, maxObjects)
	}
	r := &reader{
		data: body, at: header, left: limit, have: have, out: Objects{}, byOffset: map[int64]plumbing.Hash{},
		atOffset: map[int64][]delta{}, onHash: map[plumbing.Hash][]delta{},
	}
	for range count {
		if err := r.entry(); err != nil {
			return nil, err
		}
	}
	switch {
	case r.at != len(body):
		return nil, fmt.Errorf("%w: there is more after its last object", ErrDamaged)
	case len(r.onHash)+len(r.atOffset) > 0:
		return nil, ErrNoBase
	}
	return r.out, nil
}

// reader is where reading a pack is.
type reader struct {
	data     []byte
	at       int
	zip      io.Reader
	left     int64 // bytes that may still be unpacked
	have     Objects
	out      Objects
	byOffset map[int64]plumbing.Hash
	// Differences whose base comes later in the pack, by what it is.
	atOffset map[int64][]delta
	onHash   map[plumbing.Hash][]delta
}

// delta is a difference to another object; offset is its own.
type delta struct {
	offset int64
	data   []byte
}

// entry reads the object at r.at.
func (r *reader) entry() error {
	offset := int64(r.at)
	kind, size, err := r.head()
	if err != nil {
		return err
	}
	switch kind {
	case plumbing.CommitObject, plumbing.TreeObject, plumbing.BlobObject, plumbing.TagObject:
		content, err := r.inflate(size)
		if err != nil {
			return err
		}
		return r.add(offset, kind, content)
	case plumbing.OFSDeltaObject:
		back, err := r.back()
		if err != nil {
			return err
		}
		return r.onOffset(offset, offset-back, size)
	case plumbing.REFDeltaObject:
		if len(r.data)-r.at < len(plumbing.Hash{}) {
			return r.cut()
		}
		base := plumbing.Hash(r.data[r.at : r.at+len(plumbing.Hash{})])
		r.at += len(base)
		content, err := r.inflate(size)
		if err != nil {
			return err
		}
		return r.difference(base, delta{offset, content})
	}
	return fmt.Errorf("%w: an object of type %d", ErrDamaged, kind)
}

// onOffset reads a difference to the object at base.
func (r *reader) onOffset(offset, base, size int64) error {
	content, err := r.inflate(size)
	if err != nil {
		return err
	}
	if hash, ok := r.byOffset[base]; ok {
		return r.difference(hash, delta{offset, content})
	}
	if base < 0 || base >= offset {
		return fmt.Errorf("%w: a difference to what is not in it", ErrDamaged)
	}
	r.atOffset[base] = append(r.atOffset[base], delta{offset, content})
	return nil
}

// difference applies d to base, or keeps it until base has come.
func (r *reader) difference(base plumbing.Hash, d delta) error {
	o, ok := r.out[base]
	if !ok {
		o, ok = r.have[base]
		ok = ok && o.Data != nil
	}
	if !ok {
		r.onHash[base] = append(r.onHash[base], d)
		return nil
	}
	content, err := r.patch(o.Data, d.data)
	if err != nil {
		return err
	}
	return r.add(d.offset, o.Type, content)
}

// add takes an object up, and everything that waited for it.
func (r *reader) add(offset int64, kind plumbing.ObjectType, content []byte) error {
	type found struct {
		offset  int64
		content []byte
	}
	for queue := []found{{offset, content}}; len(queue) > 0; {
		f := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		hash := plumbing.ComputeHash(kind, f.content)
		r.out[hash] = Object{Type: kind, Size: int64(len(f.content)), Data: f.content}
		r.byOffset[f.offset] = hash
		waiting := append(r.onHash[hash], r.atOffset[f.offset]...)
		delete(r.onHash, hash)
		delete(r.atOffset, f.offset)
		for _, d := range waiting {
			next, err := r.patch(f.content, d.data)
			if err != nil {
				return err
			}
			queue = append(queue, found{d.offset, next})
		}
	}
	return nil
}

// head reads an object's type and size.
func (r *reader) head() (plumbing.ObjectType, int64, error) {
	b, err := r.byte()
	if err != nil {
		return 0, 0, err
	}
	kind, size := plumbing.ObjectType(b>>4&7), int64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = r.byte(); err != nil {
			return 0, 0, err
		}
		if shift > 50 {
			return 0, 0, ErrTooLarge
		}
		size |= int64(b&0x7f) << shift
	}
	return kind, size, nil
}

// back reads how far back a difference's base is.
func (r *reader) back() (int64, error) {
	b, err := r.byte()
	n := int64(b & 0x7f)
	for ; err == nil && b&0x80 != 0 && n < 1<<50; n = (n+1)<<7 | int64(b&0x7f) {
		b, err = r.byte()
	}
	return n, err
}

func (r *reader) byte() (byte, error) {
	if r.at >= len(r.data) {
		return 0, r.cut()
	}
	r.at++
	return r.data[r.at-1], nil
}

func (r *reader) cut() error { return fmt.Errorf("%w: it ends too early", ErrDamaged) }

// take reserves size bytes of what may be unpacked.
func (r *reader) take(size int64) error {
	if r.left -= size; r.left < 0 {
		return ErrTooLarge
	}
	return nil
}

// inflate unpacks the next size bytes.
func (r *reader) inflate(size int64) ([]byte, error) {
	if err := r.take(size); err != nil {
		return nil, err
	}
	in := bytes.NewReader(r.data[r.at:])
	if err := r.unzip(in); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	// Beyond a file's usual size, only what really comes costs memory.
	var out bytes.Buffer
	out.Grow(int(min(size, 1<<20)) + bytes.MinRead)
	if n, err := io.Copy(&out, io.LimitReader(r.zip, size+1)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	} else if n != size {
		return nil, fmt.Errorf("%w: an object of %d bytes has other", ErrDamaged, size)
	}
	r.at = len(r.data) - in.Len()
	return out.Bytes(), nil
}

// unzip makes r.zip read from in; a decompressor is too dear for one object.
func (r *reader) unzip(in io.Reader) (err error) {
	if again, ok := r.zip.(zlib.Resetter); ok {
		return again.Reset(in, nil)
	}
	r.zip, err = zlib.NewReader(in)
	return err
}

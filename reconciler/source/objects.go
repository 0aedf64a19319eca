package source

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"camfleet.dev/reconciler/source/internal/pack"
)

// objects gives what a repository holds.
type objects interface {
	// object reads one. Of what is larger than most it gives only the size.
	object(hash plumbing.Hash, kind plumbing.ObjectType, most int64) (pack.Object, error)
}

// errMissing is an object that should be there and is not.
var errMissing = errors.New("the repository lacks an object")

// fetched are objects that a server sent.
type fetched pack.Objects

func (f fetched) object(hash plumbing.Hash, kind plumbing.ObjectType, most int64) (pack.Object, error) {
	o, ok := f[hash]
	if !ok || o.Type != kind {
		return pack.Object{}, fmt.Errorf("%w: %s %s", errMissing, kind, hash)
	}
	if o.Size > most {
		o.Data = nil
	} else if o.Data == nil {
		return pack.Object{}, fmt.Errorf("%w: %s %s", errMissing, kind, hash) // it was too large once
	}
	return o, nil
}

// stored are the objects of a repository on this machine.
type stored struct{ storer.EncodedObjectStorer }

func (s stored) object(hash plumbing.Hash, kind plumbing.ObjectType, most int64) (pack.Object, error) {
	size, err := s.EncodedObjectSize(hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return pack.Object{}, fmt.Errorf("%w: %s %s", errMissing, kind, hash)
	} else if err != nil {
		return pack.Object{}, fmt.Errorf("reading %s %s: %w", kind, hash, err)
	}
	if size > most {
		return pack.Object{Type: kind, Size: size}, nil
	}
	o, err := s.EncodedObject(kind, hash)
	if err != nil {
		return pack.Object{}, fmt.Errorf("reading %s %s: %w", kind, hash, err)
	}
	in, err := o.Reader()
	if err != nil {
		return pack.Object{}, fmt.Errorf("reading %s %s: %w", kind, hash, err)
	}
	defer in.Close()
	// One byte more than it says it has: a lying header is an error, not a bomb.
	content, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return pack.Object{}, fmt.Errorf("reading %s %s: %w", kind, hash, err)
	}
	// Whoever can write to the folder can put anything under a name; a pack
	// from a server is named by what is in it.
	if plumbing.ComputeHash(kind, content) != hash {
		return pack.Object{}, fmt.Errorf("%s %s is damaged: git fsck says more", kind, hash)
	}
	return pack.Object{Type: kind, Size: int64(len(content)), Data: content}, nil
}

// layered looks into what was read before first: what has not changed since is
// neither unpacked nor kept again.
type layered struct {
	before fetched
	objects
}

func (l layered) object(hash plumbing.Hash, kind plumbing.ObjectType, most int64) (pack.Object, error) {
	if o, err := l.before.object(hash, kind, most); err == nil {
		return o, nil
	}
	return l.objects.object(hash, kind, most)
}

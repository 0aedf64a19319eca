package pack

import (
	"encoding/binary"
	"fmt"
)

// patch makes an object of base and a difference to it.
func (r *reader) patch(base, d []byte) ([]byte, error) {
	from, d, ok1 := length(d)
	to, d, ok2 := length(d)
	if !ok1 || !ok2 || from != uint64(len(base)) {
		return nil, fmt.Errorf("%w: a difference to another object", ErrDamaged)
	}
	if to > 1<<50 {
		return nil, ErrTooLarge
	}
	if err := r.take(int64(to)); err != nil {
		return nil, err
	}
	out := make([]byte, 0, to)
	for len(d) > 0 {
		op := d[0]
		d = d[1:]
		part := d
		switch {
		case op&0x80 != 0:
			var at, n uint64
			if at, n, d, ok1 = copied(op, d); !ok1 || at+n > from {
				return nil, fmt.Errorf("%w: a difference copies what is not there", ErrDamaged)
			}
			part = base[at : at+n]
		case op == 0 || int(op) > len(d):
			return nil, fmt.Errorf("%w: a difference ends too early", ErrDamaged)
		default:
			part, d = d[:op], d[op:]
		}
		if len(out)+len(part) > cap(out) {
			return nil, fmt.Errorf("%w: a difference makes more than it says", ErrDamaged)
		}
		out = append(out, part...)
	}
	if uint64(len(out)) != to {
		return nil, fmt.Errorf("%w: a difference makes less than it says", ErrDamaged)
	}
	return out, nil
}

// length reads a number at the beginning of a difference.
func length(d []byte) (uint64, []byte, bool) {
	n, used := binary.Uvarint(d)
	if used <= 0 {
		return 0, nil, false
	}
	return n, d[used:], true
}

// copied reads what a copying instruction copies: its low bits say which bytes
// of the offset (4) and the size (3) follow.
func copied(op byte, d []byte) (at, n uint64, rest []byte, ok bool) {
	for i := range 7 {
		if op>>i&1 == 0 {
			continue
		}
		if len(d) == 0 {
			return 0, 0, nil, false
		}
		if i < 4 {
			at |= uint64(d[0]) << (8 * i)
		} else {
			n |= uint64(d[0]) << (8 * (i - 4))
		}
		d = d[1:]
	}
	if n == 0 {
		n = 0x10000
	}
	return at, n, d, true
}

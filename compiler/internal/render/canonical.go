package render

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Canonical encodes an object with sorted keys and without white space, its
// status and nulls (which a server would read as "delete this field").
func Canonical(m map[string]any) (json.RawMessage, error) {
	delete(m, "status")
	dropNulls(m)
	return json.Marshal(m)
}

func dropNulls(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e == nil {
				delete(v, k)
				continue
			}
			dropNulls(e)
		}
	case []any:
		for _, e := range v {
			dropNulls(e)
		}
	}
}

// canonical encodes a typed object as Canonical would encode it as a map,
// several times as fast: it sorts the keys of the encoded text.
func canonical(o any) (json.RawMessage, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	s := sorter{src: b}
	out, _ := s.value()
	return out, nil
}

// sorter walks over what json.Marshal has written: valid, without white space.
type sorter struct {
	src   []byte
	at    int
	depth int
}

type member struct{ key, value []byte }

// value is the value at s.at with its keys sorted, and whether that is just a
// part of src: most of an object is in order already, and need not be copied.
func (s *sorter) value() (out []byte, same bool) {
	start := s.at
	switch s.src[s.at] {
	case '{':
		return s.object(start)
	case '[':
		return s.array(start)
	case '"':
		s.text()
	default: // a number, true, false, null
		for s.at < len(s.src) && bytes.IndexByte([]byte(",]}"), s.src[s.at]) < 0 {
			s.at++
		}
	}
	return s.src[start:s.at], true
}

// text steps over a string.
func (s *sorter) text() {
	for s.at++; s.src[s.at] != '"'; s.at++ {
		if s.src[s.at] == '\\' {
			s.at++
		}
	}
	s.at++
}

func (s *sorter) object(start int) ([]byte, bool) {
	members := make([]member, 0, 12)
	same := true
	s.depth++
	for s.at++; s.src[s.at] != '}'; {
		key := s.at
		s.text()
		m := member{key: s.src[key:s.at]}
		s.at++ // ':'
		var unchanged bool
		m.value, unchanged = s.value()
		if s.src[s.at] == ',' {
			s.at++
		}
		// A status is the cluster's to write: encoding/json cannot leave an empty struct out.
		if s.depth == 1 && string(m.key) == `"status"` {
			same = false
			continue
		}
		same = same && unchanged && (len(members) == 0 || bytes.Compare(members[len(members)-1].key, m.key) < 0)
		members = append(members, m)
	}
	s.at++
	s.depth--
	if same {
		return s.src[start:s.at], true
	}
	slices.SortFunc(members, func(a, b member) int { return bytes.Compare(a.key, b.key) })
	return joined(members), false
}

func joined(members []member) []byte {
	size := 2
	for _, m := range members {
		size += len(m.key) + len(m.value) + 2
	}
	out := append(make([]byte, 0, size), '{')
	for i, m := range members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, m.key...), ':'), m.value...)
	}
	return append(out, '}')
}

func (s *sorter) array(start int) ([]byte, bool) {
	elements := make([][]byte, 0, 4)
	same := true
	s.depth++
	for s.at++; s.src[s.at] != ']'; {
		e, unchanged := s.value()
		same = same && unchanged
		elements = append(elements, e)
		if s.src[s.at] == ',' {
			s.at++
		}
	}
	s.at++
	s.depth--
	if same {
		return s.src[start:s.at], true
	}
	return append(append([]byte{'['}, bytes.Join(elements, []byte{','})...), ']'), false
}

package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"camfleet.dev/compiler/object"
)

// annotationAdmitted keeps, with an object, what an API server's admission made
// of it: a webhook that takes images from a mirror, one that adds a toleration.
// Without it, a new process would take that for a change that somebody made, and
// put it back, which restarts containers. It is applied by us, as a field of
// ours; one that somebody else has written is not believed.
const annotationAdmitted = "camfleet.dev/admitted"

// longestNote is how long a note may be: what is larger is known to this
// process only.
const longestNote = 16 << 10

// change is one field: as we had applied it (without a value: not at all), as
// long as it stands as it was made of that.
type change struct {
	Path  []string        `json:"path"`
	Made  string          `json:"made,omitempty"` // digest of what stands there; "" when nothing does
	Value json.RawMessage `json:"value,omitempty"`
}

// digest is "" of what is not there.
func digest(v any, there bool) string {
	raw, err := json.Marshal(v)
	if err != nil || !there {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:8])
}

// noteOf is the note that turns made back into want; "" when there is nothing
// to note, or no way to.
func noteOf(made, want []byte) string {
	a, errA := decodeExact(made)
	b, errB := decodeExact(want)
	if errA != nil || errB != nil {
		return ""
	}
	all := changes(nil, nil, a, b)
	if len(all) == 0 {
		return ""
	}
	for i, c := range all {
		all[i].Made = digest(at(a, c.Path))
	}
	text, err := json.Marshal(all)
	if err != nil || len(text) > longestNote {
		return ""
	}
	back, err := decodeExact(restored(made, string(text)))
	if err != nil || len(changes(nil, nil, back, b)) > 0 {
		return ""
	}
	return string(text)
}

// restored is what we had applied, by a note; nil when nothing stands as it was noted.
func restored(made []byte, text string) json.RawMessage {
	var all []change
	if json.Unmarshal([]byte(text), &all) != nil {
		return nil
	}
	v, err := decodeExact(made)
	if err != nil {
		return nil
	}
	some := false
	for _, c := range all {
		var value any
		if c.Value != nil {
			if value, err = decodeExact(c.Value); err != nil {
				return nil
			}
		}
		if digest(at(v, c.Path)) == c.Made {
			v, some = put(v, c.Path, value, c.Value == nil), true
		}
	}
	if !some {
		return nil
	}
	out, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return out
}

// at is the field at path, if there is one.
func at(v any, path []string) (any, bool) {
	for _, key := range path {
		there := false
		switch is := v.(type) {
		case map[string]any:
			v, there = is[key]
		case []any:
			if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(is) {
				v, there = is[i], true
			}
		}
		if !there {
			return nil, false
		}
	}
	return v, true
}

// changes appends what leads from made to want.
func changes(out []change, path []string, made, want any) []change {
	switch want := want.(type) {
	case map[string]any:
		made, ok := made.(map[string]any)
		if !ok {
			break
		}
		for _, key := range keysOf(made, want) {
			field := append(slices.Clone(path), key)
			is, had := made[key]
			should, has := want[key]
			switch {
			case !has:
				out = append(out, change{Path: field})
			case !had:
				out = append(out, changed(field, should))
			default:
				out = changes(out, field, is, should)
			}
		}
		return out
	case []any:
		made, ok := made.([]any)
		if !ok || len(made) != len(want) {
			break
		}
		for i := range want {
			out = changes(out, append(slices.Clone(path), strconv.Itoa(i)), made[i], want[i])
		}
		return out
	}
	if reflect.DeepEqual(made, want) || sameAmount(made, want) {
		return out
	}
	return append(out, changed(path, want))
}

func changed(path []string, want any) change {
	raw, err := json.Marshal(want)
	if err != nil {
		raw = []byte("null") // it was decoded from JSON
	}
	return change{Path: path, Value: raw}
}

func keysOf(a, b map[string]any) []string {
	var keys []string
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// sameAmount tells whether two texts are one quantity: who compares fields
// knows that spelling.
func sameAmount(a, b any) bool {
	x, okX := a.(string)
	y, okY := b.(string)
	if !okX || !okY {
		return false
	}
	p, okX := amountOf(x)
	q, okY := amountOf(y)
	return okX && okY && p.Cmp(q) == 0
}

// put sets, or takes out, the field at path. It may change v.
func put(v any, path []string, value any, remove bool) any {
	if len(path) == 0 {
		return value
	}
	switch v := v.(type) {
	case map[string]any:
		if len(path) == 1 && remove {
			delete(v, path[0])
			return v
		}
		v[path[0]] = put(v[path[0]], path[1:], value, remove)
	case []any:
		if i, err := strconv.Atoi(path[0]); err == nil && i >= 0 && i < len(v) {
			v[i] = put(v[i], path[1:], value, remove)
		}
	}
	return v
}

func decodeExact(raw []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return v, err
}

// remember writes the note of what the step came to, if it needs one. Without
// it all is well, too, until the next start: then the object is looked at once.
func (t taker) remember(ctx context.Context) {
	made, ok := t.watch.madeOf(t.step.Want)
	if !ok {
		return
	}
	text := noteOf(made, t.step.Want.Body)
	if text == "" {
		return
	}
	t.Log.Info("admission has changed what was applied, which stays so", "object", t.step.Want.ID, "site", t.step.Want.Site, "camera", t.step.Want.Camera)
	u := &unstructured.Unstructured{}
	err := u.UnmarshalJSON(made)
	if err == nil {
		err = t.own(u)
	}
	if err == nil {
		notes := u.GetAnnotations()
		if notes == nil {
			notes = map[string]string{}
		}
		notes[annotationAdmitted] = text
		u.SetAnnotations(notes)
		if e := t.watch.get(t.step.Want.ID); e != nil {
			u.SetUID(types.UID(e.live.UID)) // this very object, or none
		}
		_, err = t.apply(ctx, u, false) // never by force: what somebody has changed since is no work of admission
	}
	if err != nil {
		t.Log.Debug("what admission has changed could not be noted", "object", t.step.Want.ID, "error", err)
	}
}

// madeOf is what the last answer to a write of ours made of this very object,
// if it is not the same.
func (w *watch) madeOf(want *object.Object) ([]byte, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.settled[want.ID]
	return []byte(s.made), ok && s.want == string(want.Body)
}

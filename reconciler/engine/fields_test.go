package engine

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestChangedFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live, want string
		fields     []string
	}{
		{`{"a":1}`, `{"a":1}`, nil},
		{`{ "b":2, "a":1 }`, `{"a":1,"b":2}`, nil},
		{`{"a":1}`, `{"a":2}`, []string{"a"}},
		{`{"a":1}`, `{"a":"1"}`, []string{"a"}},
		{`{"a":null}`, `{"a":false}`, []string{"a"}},
		{`{"a":{"b":1,"c":2}}`, `{"a":{"b":1,"d":2}}`, []string{"a.c", "a.d"}},
		{`{"a":{}}`, `{"a":[]}`, []string{"a"}},
		{`{"a":[1,2]}`, `{"a":[1]}`, []string{"a"}},
		{`{"a":[1,2]}`, `{"a":[1,3]}`, []string{"a[1]"}},
		{`{"a":[{"name":"x","v":1}]}`, `{"a":[{"name":"x","v":2}]}`, []string{"a[x].v"}},
		{`{"m":{"a.b/c":1}}`, `{"m":{"a.b/c":2}}`, []string{"m[a.b/c]"}},
		{`{"d":{"c.json":"{\"x\":1}"}}`, `{"d":{"c.json":"{\"x\":2}"}}`, []string{"d[c.json].x"}},
		{`{"d":"{\"x\":1}"}`, `{"d":"{ \"x\":1}"}`, []string{"d"}},
		{`{"d":"{x"}`, `{"d":"{y"}`, []string{"d"}},
		{`{"a":9007199254740993}`, `{"a":9007199254740992}`, []string{"a"}},
		{`{`, `{}`, []string{"everything"}},
		{``, `{}`, []string{"everything"}},
	} {
		if got := changedFields(json.RawMessage(c.live), json.RawMessage(c.want)); !reflect.DeepEqual(got, c.fields) {
			t.Errorf("%s to %s: %q, want %q", c.live, c.want, got, c.fields)
		}
	}
	if got := sentence([]string{"a", "b", "c", "d", "e", "f"}); got != "a, b, c, d and 2 more changed" {
		t.Error(got)
	}
}

func FuzzChangedFields(f *testing.F) {
	f.Add(`{"a":[1]}`, `{"a":{"b":"{}"}}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		there, back := changedFields(json.RawMessage(a), json.RawMessage(b)), changedFields(json.RawMessage(b), json.RawMessage(a))
		if len(there) == 0 != (len(back) == 0) {
			t.Errorf("%q there, %q back", there, back)
		}
		if same := changedFields(json.RawMessage(a), json.RawMessage(a)); len(same) > 0 && json.Valid([]byte(a)) {
			t.Errorf("differs from itself: %q", same)
		}
	})
}

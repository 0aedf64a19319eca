package engine

import (
	"encoding/json"
	"math/rand/v2"
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
		{`{"a":null}`, `{}`, nil},
		{`{}`, `{"a":null}`, nil},
		{`{"a":[1,2]}`, `{"a":[2,1]}`, []string{"a[0]", "a[1]"}},
		{`{"s":{"ports":[{"name":"a","port":1},{"name":"b","port":2}]}}`, `{"s":{"ports":[{"name":"b","port":2},{"name":"a","port":3}]}}`, []string{"s.ports[a].port"}},
		{`{"s":{"ports":[{"name":"a"}]}}`, `{"s":{"ports":[{"name":"b"}]}}`, []string{"s.ports[a]", "s.ports[b]"}},
		{`{"s":{"ports":[{"port":1},{"port":2}]}}`, `{"s":{"ports":[{"port":2},{"port":1}]}}`, []string{"s.ports[0].port", "s.ports[1].port"}},
		{`{"s":{"ports":[{"name":"a"},{"name":"a"}]}}`, `{"s":{"ports":[{"name":"a"}]}}`, []string{"s.ports"}},
		{`{"s":{"volumeMounts":[{"mountPath":"/a"},{"mountPath":"/b"}]}}`, `{"s":{"volumeMounts":[{"mountPath":"/b"},{"mountPath":"/a"}]}}`, nil},
		{`{"s":{"tolerations":[{"key":"a"},{"key":"b"}]}}`, `{"s":{"tolerations":[{"key":"b"},{"key":"a"}]}}`, []string{"s.tolerations[0].key", "s.tolerations[1].key"}},
		{`{"d":"{\"x\":1} a"}`, `{"d":"{\"x\":1} b"}`, []string{"d"}},
		{`{`, `{}`, []string{"everything"}},
		{`{} {}`, `{}`, []string{"everything"}},
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

// TestOrderOfLists shuffles a Pod as an API server might, and as nobody may.
func TestOrderOfLists(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	list := func(key string, n int) []any {
		var out []any
		for i := range n {
			out = append(out, object{key: string(rune('a' + i)), "v": i})
		}
		return out
	}
	pod := func(rnd *rand.Rand, args bool) []byte {
		lists := map[string][]any{
			"containers": list("name", 3), "volumes": list("name", 4), "imagePullSecrets": list("name", 2),
			"ports": list("name", 3), "env": list("name", 5), "volumeMounts": list("mountPath", 4),
		}
		if rnd != nil {
			for _, l := range lists {
				rnd.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
			}
		}
		command := []any{"a", "b"}
		if args {
			command = []any{"b", "a"}
		}
		for _, c := range lists["containers"] {
			c := c.(object)
			c["ports"], c["env"], c["volumeMounts"], c["command"] = lists["ports"], lists["env"], lists["volumeMounts"], command
		}
		raw, err := json.Marshal(object{"spec": object{
			"containers": lists["containers"], "volumes": lists["volumes"], "imagePullSecrets": lists["imagePullSecrets"],
		}})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		if got := changedFields(pod(rnd, false), pod(nil, false)); got != nil {
			t.Fatalf("seed %d: %q", seed, got)
		}
		if got := changedFields(pod(rnd, true), pod(nil, false)); len(got) != 6 {
			t.Fatalf("seed %d: %q", seed, got)
		}
	}
}

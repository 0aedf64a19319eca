package render

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{}`:                               `{}`,
		`{"b":1,"a":2}`:                    `{"a":2,"b":1}`,
		`{"a":{"d":[],"c":{}},"b":null}`:   `{"a":{"c":{},"d":[]},"b":null}`,
		`[{"b":-1.5e3,"a":true},"x",[2]]`:  `[{"a":true,"b":-1.5e3},"x",[2]]`,
		`{"b\"}":"{\"z\":1,","a":"\\"}`:    `{"a":"\\","b\"}":"{\"z\":1,"}`,
		`{"status":{"x":1},"a":1}`:         `{"a":1}`,
		`{"spec":{"status":1,"a":2}}`:      `{"spec":{"a":2,"status":1}}`,
		`{"ab":1,"a":2,"abc":3,"a-":4}`:    `{"a":2,"a-":4,"ab":1,"abc":3}`,
		`"text"`:                           `"text"`,
		`12`:                               `12`,
		`{"a":[1,{"z":1,"y":[{"b":1}]}]} `: `{"a":[1,{"y":[{"b":1}],"z":1}]}`,
	} {
		got, err := canonical(json.RawMessage(in))
		if err != nil || string(got) != want {
			t.Errorf("%s became %s (%v), want %s", in, got, err, want)
		}
	}
}

func TestCanonicalOfAMap(t *testing.T) {
	t.Parallel()
	got, err := Canonical(map[string]any{
		"status": map[string]any{"x": 1}, "b": nil, "a": []any{map[string]any{"n": nil, "m": int64(1) << 60}}, "metadata": map[string]any{"creationTimestamp": nil},
	})
	if want := `{"a":[{"m":1152921504606846976}],"metadata":{}}`; err != nil || string(got) != want {
		t.Errorf("got %s (%v), want %s", got, err, want)
	}
}

// FuzzCanonical: sorting the text is sorting the map.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"b":1,"a":[{"d":"\u2028<","c":null}]}`, `{"":{"":""}}`, `[[],{}]`, `{"a":1,"a":2}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var m map[string]any
		d := json.NewDecoder(bytes.NewReader(in))
		d.UseNumber()
		if d.Decode(&m) != nil || m == nil || d.More() {
			return
		}
		compact, err := json.Marshal(m) // without duplicates
		if err != nil {
			return
		}
		got, err := canonical(json.RawMessage(compact))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(compact, []byte(`\`)) {
			return // escaped keys sort as they are written
		}
		delete(m, "status")
		want, _ := json.Marshal(m)
		if !bytes.Equal(got, want) {
			t.Errorf("%s became\n%s, want\n%s", in, got, want)
		}
	})
}

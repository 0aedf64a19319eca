package manifest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"camfleet.dev/compiler/object"
)

var bodies = []string{
	`{}`, `{"a":1,"b":-1,"c":0,"d":9007199254740993,"e":18446744073709551615,"f":1.5,"g":1e3,"h":1e21,"i":-0.25}`,
	`{"yes":"yes","no":"no","on":"on","null":"null","~":"~","number":"1","exp":"1e3","octal":"0777","date":"2026-11-24","time":"12:30:45"}`,
	`{"list":[],"map":{},"nil":null,"true":true,"deep":[[{"a":[1,"2",{"b":null}]}]]}`,
	`{"text":"one\ntwo\n","blank":"","space":" a ","colon":"a: b","hash":"# a","tab":"\t","quote":"'\"","long":"` +
		`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb cccccccccccccccccccccccccccccccc dddddddddd"}`,
	`{"unicode":"Straße €","emoji":"📷","nul":"\u0000","bom":"\ufeff","line":"\u2028"}`,
	`{"a10":1,"a9":2,"a-b":3,"a.b":4,"A":5,"ä":6,"10":7,"9":8}`,
}

func sameYAML(t *testing.T, body []byte) {
	t.Helper()
	want, err := yaml.JSONToYAML(body)
	if err != nil {
		return
	}
	if got, err := toYAML(body); err != nil || string(got) != string(want) {
		t.Errorf("%s: %v\ngot\n%swant\n%s", body, err, got, want)
	}
}

// TestYAML: what is written is what sigs.k8s.io/yaml writes, byte by byte.
func TestYAML(t *testing.T) {
	t.Parallel()
	for _, body := range bodies {
		sameYAML(t, []byte(body))
	}
	for _, body := range []string{"", "{", `{"a":}`} {
		if _, err := toYAML([]byte(body)); err == nil {
			t.Errorf("%q is taken", body)
		}
	}
}

// breaks are line breaks of YAML that JSON has in a string as they are; a YAML
// parser makes spaces of them.
const breaks = "\u0085\u2028\u2029"

// TestYAMLKeepsBreaks: what a parser of YAML would lose is still there.
func TestYAMLKeepsBreaks(t *testing.T) {
	t.Parallel()
	body := []byte(`{"a":"one` + breaks + `two"}`)
	got, err := toYAML(body)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := yaml.YAMLToJSON(got); err != nil || !sameJSON(back, body) {
		t.Errorf("%s is read as %s: %v", got, back, err)
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// FuzzYAML does so for other objects.
func FuzzYAML(f *testing.F) {
	f.Add("a", "1e3", int64(1), 0.5)
	f.Fuzz(func(t *testing.T, key, text string, whole int64, real float64) {
		body, err := json.Marshal(map[string]any{"k" + key: text, "n": whole, "r": real, "in": []any{text, whole}})
		if err == nil && !strings.ContainsAny(key+text, breaks) {
			sameYAML(t, body)
		}
	})
}

func BenchmarkFiles(b *testing.B) {
	var objects []object.Object
	for i := range 1000 {
		objects = append(objects, object.Object{ID: object.ID{APIVersion: "v1", Kind: "Pod", Namespace: "x", Name: fmt.Sprint("p", i)}, Body: []byte(bodies[4])})
	}
	for b.Loop() {
		if _, err := Files(objects); err != nil {
			b.Fatal(err)
		}
	}
}

package cluster

import (
	"encoding/json"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// live is an object with managedFields as API servers write them.
func live(t testing.TB, text, fields string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	var entries []any
	if err := json.Unmarshal([]byte(fields), &entries); err != nil {
		t.Fatal(err)
	}
	u.Object["metadata"].(map[string]any)["managedFields"] = entries
	return u
}

func applied(fields string) string {
	return `[{"manager":"camfleet","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":` + fields + `}]`
}

func rendered(kind, more string) string {
	return `{"apiVersion":"v1","kind":"` + kind + `","metadata":{"name":"a","namespace":"n"}` + more + `}`
}

func TestOwned(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ live, fields, want string }{
		"nothing is ours": {rendered("ConfigMap", `,"data":{"a":"1"}`), `[]`, rendered("ConfigMap", "")},
		"one of two keys": {
			rendered("ConfigMap", `,"data":{"a":"1","b":"2"}`), applied(`{"f:data":{"f:a":{}}}`),
			`{"apiVersion":"v1","data":{"a":"1"},"kind":"ConfigMap","metadata":{"name":"a","namespace":"n"}}`,
		},
		"of another manager": {
			rendered("ConfigMap", `,"data":{"a":"1"}`),
			`[{"manager":"kubectl","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:a":{}}}}]`,
			rendered("ConfigMap", ""),
		},
		"updated, not applied": {
			rendered("ConfigMap", `,"data":{"a":"1"}`),
			`[{"manager":"camfleet","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:a":{}}}}]`,
			rendered("ConfigMap", ""),
		},
		"of a subresource, and of another version": {
			rendered("ConfigMap", `,"data":{"a":"1"}`),
			`[{"manager":"camfleet","operation":"Apply","subresource":"status","apiVersion":"v1","fieldsV1":{"f:data":{"f:a":{}}}},` +
				`{"manager":"camfleet","operation":"Apply","apiVersion":"v2","fieldsV1":{"f:data":{"f:a":{}}}}]`,
			rendered("ConfigMap", ""),
		},
		"a key that was taken away": {rendered("ConfigMap", ""), applied(`{"f:data":{"f:a":{}}}`), rendered("ConfigMap", "")},
		"an owner is not in Git": {
			`{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"l":"1"},"name":"a","namespace":"n","ownerReferences":[{"uid":"u","name":"a"}]}}`,
			applied(`{"f:metadata":{"f:labels":{"f:l":{}},"f:ownerReferences":{"k:{\"uid\":\"u\"}":{}}}}`),
			`{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"l":"1"},"name":"a","namespace":"n"}}`,
		},
		"no namespace": {
			`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"},"spec":{"finalizers":["kubernetes"]}}`,
			applied(`{"f:spec":{}}`), `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"},"spec":{}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := owned(live(t, c.live, c.fields))
			if err != nil {
				t.Fatal(err)
			}
			want, _ := json.Marshal(json.RawMessage(c.want))
			if string(got) != sorted(t, want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func sorted(t *testing.T, raw []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// projections are fields of one value: spec is its name, as in most objects.
var projections = map[string]struct{ value, fields, want string }{
	"a defaulted field":             {`{"a":1,"b":2}`, `{"f:a":{}}`, `{"a":1}`},
	"a granular map itself":         {`{"a":1}`, `{".":{}}`, `{}`},
	"an empty struct, filled since": {`{"strategy":{"type":"RollingUpdate"}}`, `{"f:strategy":{}}`, `{"strategy":{}}`},
	"an atomic map":                 {`{"selector":{"matchLabels":{"a":"b"}}}`, `{"f:selector":{}}`, `{"selector":{"matchLabels":{"a":"b"}}}`},
	"an atomic list":                {`{"command":["a","b"]}`, `{"f:command":{}}`, `{"command":["a","b"]}`},
	"an element by name": {
		`{"c":[{"name":"sidecar","image":"x"},{"name":"ours","image":"y","pull":"Always"}]}`,
		`{"f:c":{"k:{\"name\":\"ours\"}":{".":{},"f:image":{},"f:name":{}}}}`,
		`{"c":[{"name":"ours","image":"y"}]}`,
	},
	"the live order": {
		`{"c":[{"name":"b"},{"name":"a"},{"name":"c"}]}`,
		`{"f:c":{"k:{\"name\":\"c\"}":{".":{},"f:name":{}},"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}`,
		`{"c":[{"name":"b"},{"name":"c"}]}`,
	},
	"two keys, one a default": {
		`{"p":[{"port":80,"protocol":"UDP"},{"port":80,"protocol":"TCP","name":"x"}]}`,
		`{"f:p":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{},"f:name":{}}}}`,
		`{"p":[{"port":80,"name":"x"}]}`,
	},
	"a set":                 {`{"s":["a","b","c"]}`, `{"f:s":{"v:\"c\"":{},"v:\"a\"":{}}}`, `{"s":["a","c"]}`},
	"numbers of a set":      {`{"s":[1,2.5,true]}`, `{"f:s":{"v:1":{},"v:2.5":{},"v:true":{}}}`, `{"s":[1,2.5,true]}`},
	"an index":              {`{"s":["a","b"]}`, `{"f:s":{"i:1":{}}}`, `{"s":["b"]}`},
	"a dot in a name":       {`{"a.b/c":"1"}`, `{"f:a.b/c":{}}`, `{"a.b/c":"1"}`},
	"another shape":         {`{"a":"text"}`, `{"f:a":{"f:b":{}}}`, `{"a":"text"}`},
	"an element of no map":  {`{"a":["text"]}`, `{"f:a":{"k:{\"name\":\"x\"}":{}}}`, `{"a":[]}`},
	"keys that are no JSON": {`{"a":["x"]}`, `{"f:a":{"k:{":{},"v:":{},"i:x":{},"nonsense":{},"":{},"zz:1":{}}}`, `{"a":[]}`},
	"null":                  {`{"a":null}`, `{"f:a":{"f:b":{}}}`, `{"a":null}`},
	"fields that are none":  {`{"a":1}`, `{"f:a":7,"f:b":"x"}`, `{"a":1}`},
}

func TestProject(t *testing.T) {
	t.Parallel()
	for name, c := range projections {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			value, fields := decoded(t, c.value), decoded(t, c.fields)
			got := project("spec", value, fields)
			if want := decoded(t, c.want); !reflect.DeepEqual(got, any(want)) {
				t.Errorf("got %v, want %v", got, want)
			}
			if !reflect.DeepEqual(value, decoded(t, c.value)) {
				t.Error("it changed the object")
			}
		})
	}
}

func decoded(t testing.TB, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// FuzzProject: no managed fields, however broken, make it panic, and what comes
// out never has a field that is not in the object.
func FuzzProject(f *testing.F) {
	for _, c := range projections {
		f.Add(c.value, c.fields)
	}
	f.Fuzz(func(t *testing.T, value, fields string) {
		var v any
		var set map[string]any
		if json.Unmarshal([]byte(value), &v) != nil || json.Unmarshal([]byte(fields), &set) != nil {
			return
		}
		if got := project("spec", v, set); !part(got, v) {
			t.Errorf("%v is no part of %v", got, v)
		}
	})
}

// part tells whether a holds nothing that is not in b.
func part(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		for k, v := range a {
			if w, has := b[k]; !ok || !has || !part(v, w) {
				return false
			}
		}
		return ok
	case []any:
		b, ok := b.([]any)
		at := 0
		for _, v := range a {
			for at < len(b) && !part(v, b[at]) {
				at++
			}
			if at == len(b) {
				return false
			}
			at++
		}
		return ok
	}
	return reflect.DeepEqual(a, b)
}

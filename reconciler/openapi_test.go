package reconciler_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/status"
)

// schema is what we use of a schema of OpenAPI 3.1.
type schema struct {
	Ref         string `json:"$ref"`
	Type        string
	Format      string
	Description string
	Enum        []string
	Items       *schema
	Properties  map[string]*schema
	Required    []string
	Closed      *bool `json:"additionalProperties"`
}

type document struct {
	OpenAPI    string
	Info       struct{ Title, Version string }
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]*schema }
}

type operation struct {
	Summary, OperationID string
	Responses            map[string]struct {
		Ref     string `json:"$ref"`
		Content map[string]struct{ Schema *schema }
	}
}

const component = "#/components/schemas/"

func openAPI(t *testing.T) document {
	t.Helper()
	f, err := os.Open("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var d document
	if err := json.NewDecoder(f).Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d
}

// answers are the Go types of what each path answers.
var answers = map[string]reflect.Type{
	"/api/v1/status":   reflect.TypeFor[status.Status](),
	"/api/v1/cameras":  reflect.TypeFor[status.Cameras](),
	"/api/v1/sites":    reflect.TypeFor[status.Sites](),
	"/api/v1/nodes":    reflect.TypeFor[status.Nodes](),
	"/api/v1/changes":  reflect.TypeFor[status.Changes](),
	"/api/v1/problems": reflect.TypeFor[status.Problems](),
}

// TestOpenAPITypes: every field of every answer is described, with its type, and nothing else is.
func TestOpenAPITypes(t *testing.T) {
	t.Parallel()
	d := openAPI(t)
	if d.OpenAPI != "3.1.0" || d.Info.Title == "" || d.Info.Version == "" {
		t.Errorf("%+v", d.Info)
	}
	known := map[string]bool{"Error": true}
	for path, typ := range answers {
		op := d.Paths[path]["get"]
		if op.Summary == "" || op.OperationID == "" || op.Responses["405"].Ref == "" {
			t.Errorf("%s: %+v", path, op)
		}
		s := op.Responses["200"].Content["application/json"].Schema
		if s == nil {
			t.Errorf("%s has no answer", path)
			continue
		}
		d.describes(t, path, s, typ, known)
	}
	for name := range d.Components.Schemas {
		if !known[name] {
			t.Errorf("no answer holds a %s", name)
		}
	}
	if len(d.Paths) != len(answers)+1 {
		t.Errorf("paths %v", slices.Sorted(maps.Keys(d.Paths)))
	}
}

// describes checks that a schema is that of a Go type.
func (d document) describes(t *testing.T, at string, s *schema, typ reflect.Type, known map[string]bool) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	kind, named := map[reflect.Kind]string{
		reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer", reflect.Slice: "array", reflect.Struct: "object",
	}[typ.Kind()], typ.Kind() == reflect.Struct || typ == reflect.TypeFor[status.State]() || typ == reflect.TypeFor[engine.Action]()
	if typ == reflect.TypeFor[time.Time]() {
		if s.Type != "string" || s.Format != "date-time" {
			t.Errorf("%s is a time", at)
		}
		return
	}
	if named {
		if s.Ref != component+typ.Name() {
			t.Errorf("%s refers to %q, want %s", at, s.Ref, typ.Name())
			return
		}
		if s = d.Components.Schemas[typ.Name()]; s == nil || s.Description == "" {
			t.Errorf("%s is not described", typ.Name())
			return
		}
		if known[typ.Name()] {
			return
		}
		known[typ.Name()] = true
	}
	if s.Type != kind {
		t.Errorf("%s is %q, want %q", at, s.Type, kind)
	}
	switch {
	case kind == "array":
		d.describes(t, at+"[]", s.Items, typ.Elem(), known)
	case kind == "object":
		d.describesFields(t, typ, s, known)
	case typ == reflect.TypeFor[status.State]():
		same(t, at, s.Enum, strs(status.States()))
	case typ == reflect.TypeFor[engine.Action]():
		same(t, at, s.Enum, strs(engine.Actions()))
	}
}

func (d document) describesFields(t *testing.T, typ reflect.Type, s *schema, known map[string]bool) {
	t.Helper()
	var names, required []string
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous || !f.IsExported() || f.Tag.Get("json") == "-" {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		if options == "" {
			required = append(required, name)
		}
		at := typ.Name() + "." + name
		p := s.Properties[name]
		if p == nil || p.Description == "" {
			t.Errorf("%s is not described", at)
			continue
		}
		d.describes(t, at, p, f.Type, known)
	}
	same(t, typ.Name(), slices.Collect(maps.Keys(s.Properties)), names)
	same(t, typ.Name()+" required", s.Required, required)
	if s.Closed == nil || *s.Closed {
		t.Errorf("%s may have other fields", typ.Name())
	}
}

func strs[S ~string](l []S) (out []string) {
	for _, s := range l {
		out = append(out, string(s))
	}
	return out
}

func same(t *testing.T, at string, got, want []string) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Errorf("%s: described are %v, there are %v", at, got, want)
	}
}

// fits checks a JSON value against a schema.
func (d document) fits(at string, s *schema, v any) error {
	if s.Ref != "" {
		s = d.Components.Schemas[strings.TrimPrefix(s.Ref, component)]
	}
	switch v := v.(type) {
	case map[string]any:
		if s.Type != "object" {
			return fmt.Errorf("%s is an object", at)
		}
		var errs []error
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				errs = append(errs, fmt.Errorf("%s lacks %s", at, name))
			}
		}
		for name, value := range v {
			if p := s.Properties[name]; p != nil {
				errs = append(errs, d.fits(at+"."+name, p, value))
			} else if s.Closed != nil {
				errs = append(errs, fmt.Errorf("%s.%s is not described", at, name))
			}
		}
		return errors.Join(errs...)
	case []any:
		if s.Type != "array" {
			return fmt.Errorf("%s is an array", at)
		}
		var errs []error
		for _, item := range v {
			errs = append(errs, d.fits(at+"[]", s.Items, item))
		}
		return errors.Join(errs...)
	case string:
		if s.Type != "string" || len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
			return fmt.Errorf("%s is %q", at, v)
		}
	case bool:
		if s.Type != "boolean" {
			return fmt.Errorf("%s is a boolean", at)
		}
	case float64:
		if s.Type != "integer" {
			return fmt.Errorf("%s is a number", at)
		}
	default:
		return fmt.Errorf("%s is %v", at, v)
	}
	return nil
}

// TestOpenAPIAnswers asks a running server for every path that is described.
func TestOpenAPIAnswers(t *testing.T) {
	t.Parallel()
	d := openAPI(t)
	w := newWorld(t)
	w.ClusterName = "seoul"
	w.Cameras = func() []status.Camera {
		return []status.Camera{{Site: "gate", Name: "c0", State: "live", Since: start, Message: "x"}}
	}
	w.Nodes = func() []status.Node { return []status.Node{{Name: "n", Drained: true, Missing: true, Message: "x"}} }
	w.Health = func(time.Time) []status.Health {
		return []status.Health{{ID: pod("gate", "c0"), Site: "gate", Camera: "c0", State: "failed", Since: start, Message: "x"}}
	}
	w.Warnings = func() []string { return []string{"x"} }
	w.push(commitA, Result(Cameras("gate", 9)))
	w.run()
	bad := broken(1)
	w.push(commitB, bad)
	w.poll()
	w.push(commitC, &object.Result{Fleet: bad.Fleet, Sites: bad.Sites, Problems: bad.Problems})
	w.poll()
	if err := w.Suspend("x"); err != nil {
		t.Fatal(err)
	}
	w.fetchFails(&source.RefusedError{Commit: commitA, Files: []source.Refusal{{File: "x", Why: "x"}}})
	w.poll()
	for name, h := range map[string]http.Handler{"host": w.Handler(), "cluster": w.ClusterHandler(clusterOptions(nil))} {
		server := httptest.NewServer(h)
		defer server.Close()
		for path := range d.Paths {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
				code, body := call(t, method, server.URL+path)
				d.answered(t, name+" "+method+" "+path, d.Paths[path]["get"], method, code, body)
			}
		}
		code, body := call(t, http.MethodGet, server.URL+"/api/v1/secrets")
		if code != http.StatusNotFound || d.fits("404", d.Components.Schemas["Error"], parsed(t, body)) != nil {
			t.Errorf("%d %s", code, body)
		}
	}
}

func (d document) answered(t *testing.T, at string, op operation, method string, code int, body []byte) {
	t.Helper()
	want, s := http.StatusOK, op.Responses["200"].Content["application/json"].Schema
	switch method {
	case http.MethodHead:
		if code != want || len(body) > 0 {
			t.Errorf("%s: %d %s", at, code, body)
		}
		return
	case http.MethodGet:
	default:
		want, s = http.StatusMethodNotAllowed, d.Components.Schemas["Error"]
	}
	if code != want {
		t.Errorf("%s: %d", at, code)
		return
	}
	if err := d.fits("", s, parsed(t, body)); err != nil {
		t.Errorf("%s: %v", at, err)
	}
}

func parsed(t *testing.T, body []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(body, &v); err != nil {
		t.Errorf("%v: %s", err, body)
	}
	return v
}

func call(t *testing.T, method, url string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}

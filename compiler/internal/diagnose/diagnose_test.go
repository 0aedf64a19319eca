package diagnose

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"description", "edge", "gate-1", "gate-2", "live", "transport", "url", "north", "south"}
	for in, want := range map[string]string{
		"urll": "url", "rul": "url", "URL": "url", "trasnport": "transport", "gate-3": "gate-1", "nort": "north", "liv": "live",
		"completely-else": "", "": "", "x": "", "description2": "description", strings.Repeat("x", 500): "",
	} {
		if got := Nearest(in, known); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}} {
		if got := distance(c.a, c.b); got != c.want || distance(c.b, c.a) != got {
			t.Errorf("%q, %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf("camera-number-%d", i))
	}
	for _, c := range []struct {
		name  string
		known []string
		want  string
	}{
		{"nort", []string{"north"}, `; did you mean "north"?`},
		{"x", nil, "; there are no cameras"},
		{"else", []string{"north", "south"}, `; the cameras are "north", "south"`},
		{"else", many, "and 24 more"},
	} {
		if got := DidYouMean(c.name, c.known, "cameras"); !strings.Contains(got, c.want) {
			t.Errorf("%q: %s", c.name, got)
		}
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	for want, labels := range map[string][]string{
		"site.cameras.north-2.url":             {"site", "cameras", "north-2", "url"},
		`site.cameras.a.neighbours."gate/b"`:   {"site", "cameras", "a", "neighbours", "gate/b"},
		`site."a.b"."".x`:                      {"site", "a.b", "", "x"},
		`site."with \"quotes\"\n"`:             {"site", "with \"quotes\"\n"},
		"site.edges.a.accelerators.0.sessions": {"site", "edges", "a", "accelerators", "0", "sessions"},
	} {
		if got := Path(labels...); got != want {
			t.Errorf("%q: %s", labels, got)
		}
		if got := parsePath(want); !slices.Equal(got, labels) {
			t.Errorf("%s: %q", want, got)
		}
	}
	if got := parsePath(`site.cameras."north-2".url`); !slices.Equal(got, []string{"site", "cameras", "north-2", "url"}) {
		t.Errorf("CUE's own way: %q", got)
	}
}

func parse(t *testing.T, name, src string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(name, src)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestIndex(t *testing.T) {
	t.Parallel()
	ix := NewIndex([]*ast.File{
		parse(t, "sites/shared.cue", "package site\nsite: timeZone: \"UTC\"\n"),
		parse(t, "sites/a/x.cue", `package site
site: cameras: north: url: "rtsp://10.0.0.1/"
site: X={ edges: "pi-1": {arch: "arm64"} } & ({page: {}})
site: reach: ["a", {b: 1}]
site: schema.#Site & {
	cluster: "home" // …
	cameras: [string]: transport: "udp"
	for n in [1] {cameras: "c\(n)": {}}
	cameras: south: disabled: true
}
`),
	}, "sites/a")
	for path, want := range map[string]string{
		"site":                            "sites/a/x.cue:5:1", // the one with the schema
		"site.cluster":                    "sites/a/x.cue:6:11",
		"site.cameras":                    "sites/a/x.cue:2:7",
		"site.cameras.north":              "sites/a/x.cue:2:16",
		"site.cameras.north.url":          "sites/a/x.cue:2:28",
		"site.cameras.north.live.latency": "sites/a/x.cue:2:16",
		"site.cameras.south.disabled":     "sites/a/x.cue:9:28",
		"site.cameras.other.url":          "sites/a/x.cue:2:7",
		`site.edges."pi-1".arch`:          "sites/a/x.cue:3:33",
		"site.edges.pi-1.arch":            "sites/a/x.cue:3:33",
		"site.page":                       "sites/a/x.cue:3:48",
		"site.reach.0":                    "sites/a/x.cue:4:15",
		"site.reach.1.b":                  "sites/a/x.cue:4:24",
		"site.timeZone":                   "sites/shared.cue:2:17",
		"nothing.like.it":                 "sites/a/x.cue",
		"":                                "sites/a/x.cue",
	} {
		if got := ix.Pos(path).String(); got != want {
			t.Errorf("%s is at %s, want %s", path, got, want)
		}
	}
	ix.Add(object.Position{File: "x", Line: 7}, "site", "cameras", "c1")
	if got := ix.Pos("site.cameras.c1.url").String(); got != "x:7" {
		t.Errorf("an added place: %s", got)
	}
	if got := NewIndex(nil, "sites/b").Pos("site").String(); got != "sites/b" {
		t.Errorf("without files: %s", got)
	}
}

func TestCap(t *testing.T) {
	t.Parallel()
	at := object.Position{File: "a.cue", Line: 3, Column: 1}
	var list []object.Problem
	for i := range 5 {
		list = append(list, object.Problem{Position: at, Path: fmt.Sprint("p", i), Message: "shared"})
	}
	list = append(list, object.Problem{Position: at, Message: "other"}, object.Problem{Position: object.Position{File: "b.cue"}, Message: "whole"},
		object.Problem{Position: object.Position{File: "b.cue"}, Path: "x", Message: "whole"})
	got := Cap(list)
	if len(got) != 4 || got[1].Message != "shared (and 4 more that share this line)" || got[1].Path != "p0" {
		t.Errorf("%+v", got)
	}
	list = nil
	for i := range 5000 {
		list = append(list, object.Problem{Position: object.Position{File: "a.cue", Line: i + 1}, Message: "m"})
	}
	got = Cap(list)
	if len(got) != most+1 || !strings.Contains(got[most].Message, "4900 more problems") {
		t.Errorf("%d problems, the last: %+v", len(got), got[len(got)-1])
	}
	if Cap(nil) != nil {
		t.Error("problems of nothing")
	}
}

// TestEveryRequiredFieldHasWords holds that whoever leaves a field out reads
// what to write: the schema's words, or the fields of a struct.
func TestEveryRequiredFieldHasWords(t *testing.T) {
	t.Parallel()
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if IsLeaf(typ) || seen[typ] {
			return
		}
		seen[typ] = true
		for _, f := range fieldsOf(typ) {
			if words := hints()[typ.Name()+"."+f.name]; !f.optional && IsLeaf(f.typ) && !strings.HasPrefix(words, "must be ") {
				t.Errorf("%s.%s has no words of its own in the schema: %q", typ.Name(), f.name, words)
			}
			visit(f.typ)
		}
	}
	for _, root := range []any{schema.Fleet{}, schema.Cluster{}, schema.Site{}, schema.Server{}, schema.Package{}} {
		visit(reflect.TypeOf(root))
	}
	if len(seen) < 20 {
		t.Errorf("only %d types", len(seen))
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"rtsp://admin:pw@10.0.0.1/x" and "rtsp://h/x"`: `"rtsp://…@10.0.0.1/x" and "rtsp://h/x"`,
		`https://token@git.example.org`:                 `https://…@git.example.org`,
		`rtsp://a:b@c:d@h/`:                             `rtsp://…@h/`,
		`mail user@example.org`:                         `mail user@example.org`,
		`rtsp://h/path@x`:                               `rtsp://h/path@x`,
	} {
		if got := Redact(in); got != want {
			t.Errorf("%s → %s", in, got)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ words, text, want string }{
		{`must be "tcp" or "udp"`, `"tpc"`, `must be "tcp" or "udp", not "tpc"; did you mean "tcp"?`},
		{`must be "tcp" or "udp"`, `"quic-over-http"`, `must be "tcp" or "udp", not "quic-over-http"`},
		{`must be a size, such as "64G"`, `"64GB"`, `must be a size, such as "64G", not "64GB"`},
		{`must be true or false`, ``, `must be true or false`},
		{`must be true or false`, strings.Repeat("x", 100), `must be true or false`},
	} {
		if got := explain(c.words, c.text); got != c.want {
			t.Errorf("%s", got)
		}
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	if got := shorten("a\n\tb  c"); got != "a b c" {
		t.Errorf("%q", got)
	}
	if got := shorten(strings.Repeat("ä", 1000)); len([]rune(got)) != longest+1 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d letters", len([]rune(got)))
	}
}

package compiler_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
)

const planted = "hunter2-planted"

// hostile are commits that somebody might make to read, break or flood what
// compiles them. Each breaks its own site and no other, with words.
func hostile() map[string]struct{ file, data, want string } {
	site := func(body string) string {
		return "package site\nimport \"camfleet.dev/schema\"\nsite: schema.#Site & {cluster: \"home\", timeZone: \"UTC\", storage: size: \"1Ti\"\n" + body + "\n}\n"
	}
	embed := func(attr string) string {
		return "@extern(embed)\npackage site\nimport \"camfleet.dev/schema\"\nsite: schema.#Site & _x\n_x: _ @embed(" + attr + ")\n"
	}
	return map[string]struct{ file, data, want string }{
		"embed a host file":        {"a.cue", embed(`file="/etc/passwd", type=text`), "only relative files"},
		"embed a parent":           {"a.cue", embed(`file="../../../../etc/passwd", type=text`), "parent"},
		"embed what is not there":  {"a.cue", embed(`file="x.json"`), "no such file"},
		"embed the schema":         {"a.cue", embed(`glob="../../.camfleet-schema/*.cue", type=text`), "parent"},
		"import over the network":  {"a.cue", "package site\nimport \"evil.example.org/x@v0\"\nsite: x.y\n", "fetches no modules"},
		"import by relative path":  {"a.cue", "package site\nimport \"../../etc\"\nsite: etc.x\n", "import"},
		"deep nesting":             {"a.cue", site(strings.Repeat("{", 20_000)), "nest"},
		"deep nesting of lists":    {"a.cue", site("x: " + strings.Repeat("[", 20_000)), "nest"},
		"a structural cycle":       {"a.cue", site("x: {y: x}"), "unknown field"},
		"a reference to itself":    {"a.cue", "package site\nsite: site\n", "site"},
		"invalid UTF-8":            {"a.cue", site("title: \"\xff\xfe\""), "UTF-8"},
		"a NUL":                    {"a.cue", site("title: \"\x00\""), "NUL"},
		"tool commands":            {"a.cue", "package site\nimport \"tool/exec\"\nsite: exec.Run & {cmd: \"id\"}\n", "site"},
		"a huge file":              {"a.cue", strings.Repeat("// x\n", 1<<18), "larger than"},
		"a name that traverses":    {"a.cue", site(`cameras: "../../etc": url: "rtsp://10.0.0.1/"`), "lower case"},
		"a name that is a path":    {"a.cue", site(`cameras: "a/b": url: "rtsp://10.0.0.1/"`), "lower case"},
		"a dot as a name":          {"a.cue", site(`cameras: "..": url: "rtsp://10.0.0.1/"`), "lower case"},
		"a secret's traversal":     {"a.cue", site(`cameras: a: {url: "rtsp://10.0.0.1/", credentials: secret: "../x"}`), "must be a name"},
		"a redirect into the host": {"a.cue", site(`cameras: a: url: "file:///etc/passwd"`), "rtsp://"},
		"a header in a URL":        {"a.cue", site(`cameras: a: url: "rtsp://10.0.0.1/\r\nX: y"`), "rtsp://"},
	}
}

func TestHostile(t *testing.T) {
	t.Parallel()
	for name, c := range hostile() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := compile(t, fleetFS(map[string]string{
				"sites/evil/" + c.file: c.data, "sites/good/site.cue": rightSite("good", 1),
			}), compiler.Options{})
			said := false
			for _, p := range r.Problems {
				said = said || strings.Contains(p.Error(), c.want)
				if !strings.HasPrefix(p.File, "sites/evil") || len(p.Error()) > 1000 || strings.Contains(p.Message, "root:") {
					t.Errorf("problem: %.2000s", p.Error())
				}
			}
			if !said {
				t.Errorf("want words with %q: %v", c.want, r.Problems)
			}
			onlyGood(t, r)
		})
	}
}

// onlyGood holds that the site beside a broken one is whole.
func onlyGood(t *testing.T, r *object.Result) {
	t.Helper()
	if r.Broken || len(r.Sites) != 2 || !r.Sites[0].Broken || r.Sites[1].Broken || len(r.Sites[1].Cameras) != 1 || len(r.Objects) == 0 {
		t.Errorf("broken %v, sites %+v, %d objects", r.Broken, r.Sites, len(r.Objects))
	}
}

// TestLinksAreNotFollowed compiles a folder on disk in which links lead out.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	for name, data := range map[string]string{
		filepath.Join(outside, "cameras.cue"): "package site\nsite: title: \"" + planted + "\"\n",
		filepath.Join(outside, "x.json"):      `{"title": "` + planted + `"}`,
	} {
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files := baseFiles()
	files["sites/good/site.cue"] = rightSite("good", 1)
	files["sites/evil/site.cue"] = "@extern(embed)\n" + strings.Replace(rightSite("evil", 1), "cluster:", "_x\n\tcluster:", 1) + "_x: _ @embed(file=\"x.json\")\n"
	for name, data := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"sites/evil/cameras.cue": filepath.Join(outside, "cameras.cue"), "sites/evil/x.json": filepath.Join(outside, "x.json"), "sites/evil/linked": outside,
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skipf("this file system has no symbolic links: %v", err)
		}
	}
	r := compile(t, os.DirFS(dir), compiler.Options{})
	onlyGood(t, r)
	if data := string(marshal(t, r)); strings.Contains(data, planted) {
		t.Error("what a link leads to was read")
	}
	if !strings.Contains(r.Problems[0].Error(), "sites/evil/cameras.cue: is a symbolic link") {
		t.Errorf("problems: %v", r.Problems)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	fleet := map[string]string{"sites/evil/site.cue": rightSite("evil", 5), "sites/good/site.cue": rightSite("good", 1)}
	for name, c := range map[string]struct {
		limits compiler.Limits
		want   string
		whole  bool // the whole fleet stays as it is
	}{
		"cameras":    {compiler.Limits{CamerasPerSite: 4}, "has 5 cameras, more than the 4", false},
		"sites":      {compiler.Limits{Sites: 1}, "more than 1 sites", true},
		"files":      {compiler.Limits{Files: 3}, "more than 3 files", true},
		"bytes":      {compiler.Limits{Bytes: 1500}, "larger than", true},
		"file bytes": {compiler.Limits{FileBytes: 1000}, "is larger than", false},
	} {
		r := compile(t, fleetFS(fleet), compiler.Options{Limits: c.limits})
		if len(r.Problems) == 0 || !strings.Contains(r.Problems[0].Error(), c.want) {
			t.Errorf("%s: %v", name, r.Problems)
		}
		if r.Broken != c.whole {
			t.Errorf("%s: the fleet is broken: %v", name, r.Broken)
		}
		if c.whole && len(r.Objects) > 0 {
			t.Errorf("%s: %d objects of a fleet that is not known whole", name, len(r.Objects))
		} else if !c.whole {
			onlyGood(t, r)
		}
	}
}

// TestFlood holds that a commit cannot make megabytes of problems.
func TestFlood(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("package site\nimport \"camfleet.dev/schema\"\nsite: schema.#Site & {\n")
	for i := range 300 {
		b.WriteString("\tcameras: c" + strings.Repeat("x", i%30) + string(rune('a'+i%26)) + ": {urll: 5, transport: \"" + strings.Repeat("y", 100) + "\", nope: 7}\n")
	}
	b.WriteString("}\n")
	r := compile(t, fleetFS(map[string]string{"sites/gate/site.cue": b.String()}), compiler.Options{})
	if n := len(r.Problems); n < 50 || n > 102 || len(marshal(t, r)) > 100_000 {
		t.Errorf("%d problems, %d bytes", n, len(marshal(t, r)))
	}
	if last := r.Problems[len(r.Problems)-1]; !strings.Contains(last.Message, "more problems") {
		t.Errorf("the last one: %s", last.Error())
	}
}

// TestSecretsStayOut plants a password wherever somebody might write one.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	for _, field := range []string{
		`url: "rtsp://admin:PW@10.0.0.1/"`, `url: "http://admin:PW@10.0.0.1/"`, `url: "rtsp://PW@10.0.0.1/" & "rtsp://10.0.0.2/"`,
		`url: "rtsp://10.0.0.1/" + 5 + "PW"`, `url: ["PW"]`, `url: {password: "PW"}`, `url: "PW"`, `url: "rtsp://10.0.0.1/", password: "PW"`,
		`url: "rtsp://10.0.0.1/", credentials: "PW"`, `url: "rtsp://10.0.0.1/", credentials: secret: "PW!"`,
		`url: "rtsp://10.0.0.1/", credentials: {username: "PW", password: "PW"}`, `url: "rtsp://10.0.0.1/", credentials: secret: ["PW"]`,
		`url: "rtsp://10.0.0.1/", credentials: secret: "a" & "PW"`, `url: "rtsp://10.0.0.1/", description: "rtsp://admin:PW@10.0.0.1/" & "x"`,
		`url: "rtsp://\("admin:PW")@10.0.0.1/"`, `"rtsp://admin:PW@10.0.0.1/"`,
	} {
		field = strings.ReplaceAll(field, "PW", planted)
		body := "cameras: a: {" + field + "}"
		if !strings.Contains(field, ": ") {
			body = "cameras: a: " + field
		}
		r := compile(t, fleetFS(map[string]string{"sites/gate/site.cue": "package site\nimport \"camfleet.dev/schema\"\nsite: schema.#Site & {\n\tcluster: \"home\"\n\ttimeZone: \"UTC\"\n\tstorage: size: \"9Ti\"\n\t" + body + "\n}\n"}), compiler.Options{})
		if len(r.Problems) == 0 || strings.Contains(string(marshal(t, r)), planted) {
			t.Errorf("%s: %v", field, r.Problems)
		}
	}
}

package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	. "camfleet.dev/reconciler/engine/enginetest"
)

func text(t *testing.T, d engine.Difference) string {
	t.Helper()
	var b strings.Builder
	if err := d.Write(&b, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestDiffReads: what a person sees.
func TestDiffReads(t *testing.T) {
	t.Parallel()
	cameras := Cameras("gate", 12)
	cameras[0].Restart = "rtsp://10.0.0.1/a"
	m := running(t, Result(cameras))
	m.Remove(podID("gate", "c5"))
	cameras = cameras[:11]
	cameras[0].Restart, cameras[1].CPU, cameras[2].Restart = "rtsp://10.0.0.2/a", "50m", "rtsp://x"
	cameras = append(cameras, Camera{Site: "gate", Name: "new", Line: 7})
	got := text(t, engine.Diff(plan(t, m, Result(cameras), engine.Options{AtOnce: 0.2})))
	want := `~ camfleet-gate/ConfigMap/camera-c0  configured  sites/gate/cameras.cue:10:2
    data[camera.json].url changed
      data[camera.json].url: "rtsp://10.0.0.1/a" → "rtsp://10.0.0.2/a"
- camfleet-gate/ConfigMap/camera-c11  deleted
    it is no longer in Git
(~) camfleet-gate/ConfigMap/camera-c2  waiting  sites/gate/cameras.cue:12:2
    to be configured: 2 of 11 cameras of site gate are being replaced; its turn comes
      data[camera.json].url: "r" → "rtsp://x"
+ camfleet-gate/ConfigMap/camera-new  created  sites/gate/cameras.cue:7:2
- camfleet-gate/CronJob/days-c11  deleted
    it is no longer in Git
+ camfleet-gate/CronJob/days-new  created  sites/gate/cameras.cue:7:2
± camfleet-gate/Pod/camera-c0  replaced  sites/gate/cameras.cue:10:2
    it needs a restart: data[camera.json].url changed
~ camfleet-gate/Pod/camera-c1  configured  sites/gate/cameras.cue:11:2
    spec changed
      spec: (none) → {"containers":[{"name":"rtsp2hls","resources":{"requests":{"cpu":"50m"}}}]}
- camfleet-gate/Pod/camera-c11  deleted
    it is no longer in Git
(±) camfleet-gate/Pod/camera-c2  waiting  sites/gate/cameras.cue:12:2
    to be replaced: 2 of 11 cameras of site gate are being replaced; its turn comes
+ camfleet-gate/Pod/camera-c5  created  sites/gate/cameras.cue:1:2
    it is missing
+ camfleet-gate/Pod/camera-new  created  sites/gate/cameras.cue:7:2
`
	want = strings.Replace(want, "cameras.cue:1:2\n    it is missing", "cameras.cue:15:2\n    it is missing", 1)
	want = strings.Replace(want, `      spec: (none) → {"containers":[{"name":"rtsp2hls","resources":{"requests":{"cpu":"50m"}}}]}
`, `      spec:
      + {"containers":[{"name":"rtsp2hls","resources":{"requests":{"cpu":"50m"}}}]}
`, 1)
	body, tail, _ := strings.Cut(got, "4 created")
	if body != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if tail != ", 2 configured, 1 replaced, 3 deleted, 2 waiting, 30 unchanged; 2 cameras replaced (1 of them later), each ≈ 4 s of recording lost\n" {
		t.Error(tail)
	}
}

func edited(before, after map[string]any, kind string) engine.ChangeSet {
	o := object.Object{ID: object.ID{APIVersion: "v1", Kind: kind, Namespace: "n", Name: "x"}, Site: "gate"}
	o.Body = Body(o, after)
	return engine.Plan(&object.Result{Fleet: Result(nil).Fleet, Objects: []object.Object{o}, Sites: []object.Site{{Name: "gate"}}},
		[]engine.Live{{ID: o.ID, Site: "gate", Body: Body(o, before)}}, engine.Options{})
}

// TestDiffOfTexts: of a long text, the lines that differ are shown.
func TestDiffOfTexts(t *testing.T) {
	t.Parallel()
	conf := func(line string) map[string]any {
		return map[string]any{"data": map[string]any{"nginx.conf": "events {}\nhttp {\n" + line + "}\n"}}
	}
	got := text(t, engine.Diff(edited(conf("  a;\n  b;\n"), conf("  a;\n  c;\x1b[31m\n"), "ConfigMap")))
	if want := "      data[nginx.conf]:\n      -   b;\n      +   c;[31m\n1 configured\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s", got)
	}
	got = text(t, engine.Diff(edited(conf(""), conf(strings.Repeat("  line;\n", 40)), "ConfigMap")))
	if want := "      +   line;\n        … 28 more lines\n1 configured\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s", got)
	}
}

// TestDiffInColour: each line is wrapped by what it says.
func TestDiffInColour(t *testing.T) {
	t.Parallel()
	before, after := map[string]any{"data": map[string]any{"a": "x\ny\n"}}, map[string]any{"data": map[string]any{"a": "x\nz\n"}}
	var b strings.Builder
	err := engine.Diff(edited(before, after, "ConfigMap")).Write(&b, func(a engine.Action, line string) string { return string(a) + "<" + line + ">" })
	const want = "configured<~ n/ConfigMap/x  configured>\n    data.a changed\n      data.a:\ndeleted<      - y>\ncreated<      + z>\n1 configured\n"
	if err != nil || b.String() != want {
		t.Errorf("error %v, got\n%s", err, b.String())
	}
}

// TestDiffRedacts hides a text in each place in which no difference may show it.
func TestDiffRedacts(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	type object = map[string]any
	for name, c := range map[string]struct {
		kind   string
		change func(string) object
	}{
		"a Secret's data":       {"Secret", func(s string) object { return object{"data": object{"password": s, "x": s}} }},
		"a Secret's stringData": {"Secret", func(s string) object { return object{"stringData": object{"tls.crt": s}} }},
		"what kubectl applied": {"ConfigMap", func(s string) object {
			return object{"x": object{"kubectl.kubernetes.io/last-applied-configuration": `{"a":"` + s + `"}`}}
		}},
		"a URL": {"ConfigMap", func(s string) object {
			return object{"data": object{"camera.json": `{"url":"rtsp://admin:` + s + `@10.0.0.1/x"}`}}
		}},
		"a URL with odd letters": {"ConfigMap", func(s string) object { return object{"data": object{"u": "rtsp://admin:a/b@" + s + "@10.0.0.1/x"}} }},
		"a query":                {"ConfigMap", func(s string) object { return object{"data": object{"u": "http://h/x?channel=1&access_token=" + s}} }},
		"a query's user":         {"ConfigMap", func(s string) object { return object{"data": object{"u": "http://h/x?user=" + s + "&pwd=" + s}} }},
		"JSON in a text":         {"ConfigMap", func(s string) object { return object{"data": object{"a": `{"nested":[{"apiKey":"` + s + `"}]}`}} }},
		"JSON in JSON":           {"ConfigMap", func(s string) object { return object{"data": object{"a": `{"b":"{\"token\":\"` + s + `\"}"}`}} }},
		"half JSON":              {"ConfigMap", func(s string) object { return object{"data": object{"a": `{"token":"` + s + `"} and so on`}} }},
		"YAML":                   {"ConfigMap", func(s string) object { return object{"data": object{"a": "x: 1\nclient_secret: " + s + "\n"}} }},
		"a variable":             {"Pod", func(s string) object { return container(object{"env": []object{{"name": "DB_PASSWORD", "value": s}}}) }},
		"an argument":            {"Pod", func(s string) object { return container(object{"args": []string{"--token=" + s}}) }},
		"the argument after":     {"Pod", func(s string) object { return container(object{"args": []string{"--api-token", s}}) }},
		"a header":               {"Pod", func(s string) object { return container(object{"args": []string{"-H", "Authorization: Bearer " + s}}) }},
		"a private key": {"ConfigMap", func(s string) object {
			return object{"data": object{"k": "-----BEGIN RSA PRIVATE KEY-----\n" + s + "\n-----END RSA PRIVATE KEY-----\n"}}
		}},
		"a web token":    {"ConfigMap", func(s string) object { return object{"data": object{"k": "eyJ" + s + "." + s + "." + s}} }},
		"a whole branch": {"ConfigMap", func(s string) object { return object{"spec": object{"auth": object{"password": s, "n": "x"}}} }},
		"a number":       {"Secret", func(s string) object { return object{"data": object{"pin": len(s), "x": s}} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, set := range []engine.ChangeSet{
				edited(c.change("other"), c.change(secret), c.kind),
				edited(c.change(secret), c.change("other"), c.kind),
				edited(nil, c.change(secret), c.kind),
				edited(c.change(secret), nil, c.kind),
			} {
				d := engine.Diff(set)
				raw, err := json.Marshal(d)
				if err != nil {
					t.Fatal(err)
				}
				if len(d.Objects) != 1 || len(d.Objects[0].Fields) == 0 {
					t.Errorf("it shows no change: %s", raw)
				}
				for _, shown := range []string{text(t, d), string(raw), set.String()} {
					if strings.Contains(shown, secret) {
						t.Errorf("it shows the secret: %s", shown)
					}
				}
			}
		})
	}
}

func container(with map[string]any) map[string]any {
	with["name"] = "c"
	return map[string]any{"spec": map[string]any{"containers": []map[string]any{with}}}
}

// TestDiffShows what is no secret, although it looks a bit like one.
func TestDiffShows(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	for _, c := range []object{
		{"data": object{"camera.json": `{"credentials":"shown1"}`}},
		{"spec": object{"volumes": []object{{"name": "a", "secret": object{"secretName": "shown1"}}}}},
		{"spec": object{"tls": []object{{"secretName": "shown1"}}}},
		{"data": object{"camera.json": `{"url":"rtsp://10.0.0.1/shown1?channel=1"}`}},
		{"data": object{"nginx.conf": "location /shown1 {\n  auth_basic_user_file /etc/x;\n}\n"}},
		{"spec": object{"serviceAccountToken": object{"path": "shown1"}}},
	} {
		if got := text(t, engine.Diff(edited(nil, c, "Thing"))); !strings.Contains(got, "shown1") {
			t.Errorf("%v is hidden: %s", c, got)
		}
	}
}

// TestFailuresAreRedacted: an API server repeats the values that it refuses.
func TestFailuresAreRedacted(t *testing.T) {
	t.Parallel()
	m := &Memory{}
	a := engine.Applier{Cluster: stepper(func(context.Context, engine.Step) error {
		return errors.New("spec.x: Invalid value: \"rtsp://admin:hunter2@h/\"\x1b[2J")
	})}
	set := a.Apply(t.Context(), plan(t, m, Result(Cameras("gate", 1)), engine.Options{}))
	if s := set.String(); strings.Contains(s, "hunter2") || strings.Contains(s, "\x1b") || !strings.Contains(s, "rtsp://(redacted)@h/") {
		t.Error(s)
	}
}

// FuzzDiff: it never panics, shows a change exactly where the plan sees one, and
// no secret.
func FuzzDiff(f *testing.F) {
	f.Add("a: 1", "password: x", "url")
	f.Add(`{"a":{"token":"b"}}`, `{"a":{"token":"c"}}`, "camera.json")
	f.Fuzz(func(t *testing.T, a, b, key string) {
		before, after := map[string]any{"data": map[string]any{key: a}}, map[string]any{"data": map[string]any{key: b}}
		set := edited(before, after, "ConfigMap")
		d := engine.Diff(set)
		_ = text(t, d)
		if _, err := json.Marshal(d); err != nil {
			t.Error(err)
		}
		if set := edited(before, after, "Secret"); a != b && len(a) > 4 && !strings.Contains(key+b, a) && strings.Contains(text(t, engine.Diff(set)), a) {
			if !strings.Contains(text(t, engine.Diff(edited(map[string]any{"data": map[string]any{key: ""}}, after, "Secret"))), a) {
				t.Errorf("%q is shown: %s", a, text(t, engine.Diff(set)))
			}
		}
	})
}

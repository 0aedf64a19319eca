package host

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/compiler/page"
	"camfleet.dev/reconciler/engine/enginetest"
)

// TestViewOfExampleFleet: the compiler's own objects mean the same here.
func TestViewOfExampleFleet(t *testing.T) {
	t.Parallel()
	r, err := compiler.Compile(t.Context(), os.DirFS("../../sites"), compiler.Options{Cluster: "home"})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Problems) > 0 {
		t.Fatalf("%v", r.Problems)
	}
	v := viewOf(r.Objects)
	if len(v.warnings) > 0 {
		t.Errorf("%q", v.warnings)
	}
	var onPage page.Fleet
	if err := json.Unmarshal(v.page, &onPage); err != nil {
		t.Fatal(err)
	}
	cameras := 0
	for i, s := range r.Sites {
		cameras += len(s.Cameras)
		if onPage.Sites[i].Name != s.Name || len(onPage.Sites[i].Cameras) != len(s.Cameras) {
			t.Errorf("site %s is not on the page as it should be: %+v", s.Name, onPage.Sites)
		}
		for _, name := range s.Cameras {
			if c, ok := v.cameras[key{s.Name, name}]; !ok || c.config.URL == "" {
				t.Errorf("%s/%s: %+v", s.Name, name, c.config)
			}
		}
	}
	if cameras == 0 || len(v.cameras) != cameras || len(v.jobs) == 0 || onPage.Fleet != r.Fleet.Name {
		t.Errorf("%d cameras of %d, %d jobs, fleet %q", len(v.cameras), cameras, len(v.jobs), onPage.Fleet)
	}
}

func TestViewWarns(t *testing.T) {
	t.Parallel()
	good := cameraObjects(testCamera("gate", "a"), "10 4 * * *", "Europe/Berlin")
	change := func(camera, kind, old, new string) []object.Object {
		objects := cameraObjects(testCamera("gate", camera), "10 4 * * *", "Europe/Berlin")
		for i := range objects {
			if objects[i].Kind == kind {
				objects[i].Body = json.RawMessage(strings.ReplaceAll(string(objects[i].Body), old, new))
			}
		}
		return objects
	}
	named := func(kind, role, body string) object.Object {
		o := object.Object{ID: object.ID{APIVersion: "v1", Kind: kind, Namespace: "camfleet-gate", Name: "x"}, Site: "gate", Role: role}
		o.Body = json.RawMessage(body)
		return o
	}
	for _, c := range []struct {
		name    string
		objects []object.Object
		warning string // "" for none
	}{
		{"nothing", nil, ""},
		{"a ConfigMap of somebody", []object.Object{named("ConfigMap", "", `{}`)}, ""},
		{"no ConfigMap", change("b", "ConfigMap", "camera.json", "other"), "its ConfigMap has no camera.json yet"},
		{"a ConfigMap that is no JSON", change("b", "ConfigMap", `{\"site\"`, `{{`), "reading camera.json"},
		{"another camera's", change("b", "ConfigMap", `\"name\":\"b\"`, `\"name\":\"c\"`), "is of camera gate/c, not of gate/b"},
		{"a path for a name", change("b", "ConfigMap", `\"name\":\"b\"`, `\"name\":\"../b\"`), "is of camera"},
		{"a schedule that is none", change("b", "CronJob", "10 4 * * *", "sometimes"), `its schedule "sometimes"`},
		{"a schedule that panics the parser", change("b", "CronJob", "10 4 * * *", "TZ=0"), "use timeZone"},
		{"a zone that is none", change("b", "CronJob", "Europe/Berlin", "Mars/Olympus"), `time zone "Mars/Olympus" does not exist`},
		{"a zone with a path", change("b", "CronJob", "Europe/Berlin", "../../etc"), "does not exist"},
		{"a Pod of somebody", []object.Object{named("Pod", "", `{}`)}, "nothing else: it is kept, and not run"},
		{"a task", []object.Object{named("PodTemplate", object.RoleTask, `{}`)}, "nothing else"},
		{"a Deployment", []object.Object{named("Deployment", "", `{}`)}, "nothing else"},
		{"a page that is no JSON", []object.Object{named("ConfigMap", object.RolePage, `{"data":{"fleet.json":"{"}}`)}, "not on the page"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := viewOf(append(slices.Clone(good), c.objects...))
			if _, ok := v.cameras[key{"gate", "a"}]; !ok {
				t.Error("the camera beside it is gone")
			}
			if got := strings.Join(v.warnings, "\n"); c.warning == "" && got != "" || !strings.Contains(got, c.warning) {
				t.Errorf("%q, want %q", got, c.warning)
			}
			if !json.Valid(v.page) {
				t.Errorf("page %q", v.page)
			}
		})
	}
}

func FuzzView(f *testing.F) {
	f.Add([]byte(`{"data":{"camera.json":"{}"}}`), []byte(`{"spec":{"schedule":"@every 1s","timeZone":"UTC"}}`))
	f.Add([]byte(`{}`), []byte(`{"spec":{"schedule":"TZ=","timeZone":"CRON_TZ="}}`))
	f.Fuzz(func(t *testing.T, config, cron []byte) {
		objects := enginetest.CameraObjects(enginetest.Camera{Site: "gate", Name: "a"})
		objects[0].Body, objects[2].Body = config, cron
		v := viewOf(objects)
		if len(v.cameras)+len(v.jobs)+len(v.warnings) < 2 {
			t.Errorf("something was dropped in silence: %+v", v)
		}
	})
}

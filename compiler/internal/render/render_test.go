package render

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

var update = flag.Bool("update", false, "write testdata/*.json anew")

const hour = schema.Duration(time.Hour)

// camera is a camera as the schema's defaults leave it.
func camera(url string) schema.Camera {
	return schema.Camera{
		URL: url, Transport: "tcp", Live: schema.Live{Latency: "low"}, Bitrate: 4e6,
		Recording: schema.Recording{
			Enabled: true, Segment: schema.Duration(2 * time.Second), Retention: schema.Retention{Age: 7 * 24 * hour},
			Days: schema.Days{Enabled: true, Retention: schema.Retention{Age: 30 * 24 * hour}},
		},
	}
}

// gate is a site with one camera of each kind.
func gate() Input {
	north := camera("rtsp://10.0.0.21:8554/stream1")
	north.Edge, north.Description = "pi", "Over the gate"
	north.Credentials = &schema.SecretRef{Secret: "cameras"}
	east := camera("rtsps://camera.lan/stream")
	east.Transport, east.Live.Latency = "udp", "standard"
	east.Resources = &schema.Resources{CPU: "500m", Memory: "1Gi"}
	west := camera("rtsp://[fd00::1]/x")
	west.Recording.Days.Enabled = false
	return Input{
		Fleet: schema.Fleet{Name: "home", UID: "fleet-0001"}, Cluster: "home",
		ClusterSpec: schema.Cluster{Images: schema.Images{Camfleet: "registry.example/camfleet:1", Nginx: "nginx:1.29"}},
		Name:        "gate",
		Site: schema.Site{
			Cluster: "home", TimeZone: "Europe/Berlin",
			Storage: schema.Storage{Size: 8 << 40, AccessMode: "ReadWriteMany", Class: "nfs"},
			Edges:   map[string]schema.Edge{"pi": {Node: "pi-1"}, "box": {}},
			Cameras: map[string]schema.Camera{"north": north, "east": east, "west": west},
		},
		Pos: position,
	}
}

func position(path string) object.Position {
	if strings.HasPrefix(path, "site.cameras.") {
		return object.Position{File: "sites/gate/cameras.cue", Line: 7, Column: 3}
	}
	return object.Position{File: "sites/gate/site.cue", Line: 2}
}

// with changes the site or its cluster.
func with(change func(*Input)) Input {
	in := gate()
	change(&in)
	return in
}

// camera changes one camera.
func withCamera(name string, change func(*schema.Camera)) Input {
	return with(func(in *Input) {
		c := in.Site.Cameras[name]
		change(&c)
		in.Site.Cameras[name] = c
	})
}

func rendered(t *testing.T, in Input) []object.Object {
	t.Helper()
	out := Site(in)
	if len(out.Problems) > 0 {
		t.Fatalf("problems: %v", out.Problems)
	}
	return out.Objects
}

func find(t *testing.T, objs []object.Object, kind, name string) object.Object {
	t.Helper()
	i := slices.IndexFunc(objs, func(o object.Object) bool { return o.Kind == kind && o.Name == name })
	if i < 0 {
		t.Fatalf("no %s %s", kind, name)
	}
	return objs[i]
}

func as[T any](t *testing.T, o object.Object) *T {
	t.Helper()
	var v T
	d := json.NewDecoder(bytes.NewReader(o.Body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v\n%s", o.ID, err, o.Body)
	}
	return &v
}

// TestGolden shows a whole site, so that a change of any byte is seen in review.
func TestGolden(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]Input{
		"gate": gate(),
		"once": with(func(in *Input) { // ReadWriteOnce, own registry, a door
			in.Site.Page = &schema.Page{Auth: &schema.SecretRef{Secret: "viewers"}, Host: "gate.example.org", TLSSecret: "gate-tls"}
			in.Site.Storage = schema.Storage{Size: 8 << 40, AccessMode: "ReadWriteOnce"}
			in.ClusterSpec.Registry = &schema.Registry{Host: "10.0.0.5:5000", PullSecret: "pull"}
			delete(in.Site.Cameras, "east")
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := golden(t, rendered(t, in))
			file := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs; go test ./compiler/internal/render -update, and look at the diff", file)
			}
		})
	}
}

// golden leaves the page's files out: they are H's to change, and not readable here.
func golden(t *testing.T, objs []object.Object) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, o := range objs {
		var m map[string]any
		if err := json.Unmarshal(o.Body, &m); err != nil {
			t.Fatal(err)
		}
		delete(m, "binaryData")
		if data, ok := m["data"].(map[string]any); ok && data["nginx.conf"] != nil {
			data["nginx.conf"] = "(left out)"
		}
		if o.Kind == "Deployment" {
			template := m["spec"].(map[string]any)["template"].(map[string]any)["metadata"].(map[string]any)
			template["annotations"] = map[string]any{object.AnnotationHash: "(left out)"}
		}
		e := json.NewEncoder(&out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		if err := e.Encode(m); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestObjectsOfASite(t *testing.T) {
	t.Parallel()
	var got []string
	for _, o := range rendered(t, gate()) {
		got = append(got, o.ID.String())
	}
	want := []string{
		"Namespace/camfleet-gate",
		"camfleet-gate/ConfigMap/camera-east", "camfleet-gate/ConfigMap/camera-north", "camfleet-gate/ConfigMap/camera-west", "camfleet-gate/ConfigMap/page",
		"camfleet-gate/CronJob/days-east", "camfleet-gate/CronJob/days-north",
		"camfleet-gate/Deployment/page",
		"camfleet-gate/NetworkPolicy/camera-east", "camfleet-gate/NetworkPolicy/camera-north", "camfleet-gate/NetworkPolicy/camera-west",
		"camfleet-gate/PersistentVolumeClaim/archive",
		"camfleet-gate/Pod/camera-east", "camfleet-gate/Pod/camera-north", "camfleet-gate/Pod/camera-west",
		"camfleet-gate/Service/cameras", "camfleet-gate/Service/page",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestEveryObjectSaysWhoseItIs(t *testing.T) {
	t.Parallel()
	for _, o := range rendered(t, gate()) {
		var m struct {
			Metadata struct{ Labels, Annotations map[string]string }
		}
		if err := json.Unmarshal(o.Body, &m); err != nil {
			t.Fatal(err)
		}
		labels := m.Metadata.Labels
		for key, want := range map[string]string{
			object.LabelManagedBy: "camfleet", object.LabelFleet: "fleet-0001", object.LabelSite: "gate",
			object.LabelCamera: o.Camera, object.LabelRole: o.Role,
		} {
			if labels[key] != want {
				t.Errorf("%s: label %s is %q, want %q", o.ID, key, labels[key], want)
			}
		}
		path := "site"
		switch {
		case o.Camera != "":
			path = "site.cameras." + o.Camera
		case o.Kind == "PersistentVolumeClaim":
			path = "site.storage"
		}
		if got, want := m.Metadata.Annotations[object.AnnotationSource], position(path).File+"#"+path; got != want {
			t.Errorf("%s: source is %q, want %q", o.ID, got, want)
		}
		if o.Source != position(path) || o.Site != "gate" {
			t.Errorf("%s: made from %v of site %q", o.ID, o.Source, o.Site)
		}
		if (o.Kind == "Pod") != (o.Hash != "") || m.Metadata.Annotations[object.AnnotationHash] != o.Hash {
			t.Errorf("%s: hash is %q, its annotation %q", o.ID, o.Hash, m.Metadata.Annotations[object.AnnotationHash])
		}
		// A controller's own objects must not look as if we had rendered them.
		if n := bytes.Count(o.Body, []byte(object.LabelManagedBy)); n != 1 {
			t.Errorf("%s: %s is in it %d times", o.ID, object.LabelManagedBy, n)
		}
		if bytes.Contains(o.Body, []byte(`"status"`)) || bytes.Contains(o.Body, []byte("null")) || bytes.Contains(o.Body, []byte("creationTimestamp")) {
			t.Errorf("%s holds what is not ours to say:\n%s", o.ID, o.Body)
		}
	}
}

func TestBodiesAreCanonical(t *testing.T) {
	t.Parallel()
	first := rendered(t, gate())
	for i, o := range rendered(t, gate()) {
		if !bytes.Equal(o.Body, first[i].Body) || o.Hash != first[i].Hash {
			t.Errorf("%s differs between two runs", o.ID)
		}
		var m map[string]any
		if err := json.Unmarshal(o.Body, &m); err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(m); err != nil || !bytes.Equal(again, o.Body) {
			t.Errorf("%s: keys are not sorted, or there is white space (%v)", o.ID, err)
		}
	}
}

func TestProblemsHavePlaces(t *testing.T) {
	t.Parallel()
	for want, in := range map[string]Input{
		`sites/gate/cameras.cue:7:3: site.cameras.east.resources.cpu: "lots" is not a Kubernetes quantity; write cores such as "500m", memory such as "64Mi"`: withCamera("east", func(c *schema.Camera) { c.Resources.CPU = "lots" }),
		`sites/gate/site.cue:2: site.page.tlsSecret: is of no use without host: add the host that the certificate is for, such as host: "gate.example.org"`:   with(func(in *Input) { in.Site.Page = &schema.Page{TLSSecret: "gate-tls"} }),
		`sites/gate/cameras.cue:7:3: site.cameras.north.url: is not a URL such as rtsp://10.0.0.21:554/stream1; look at its host, and its port (1 to 65535)`:  withCamera("north", func(c *schema.Camera) { c.URL = "rtsp://10.0.0.1:99999/" }),
	} {
		out := Site(in)
		if len(out.Problems) != 1 || out.Problems[0].Error() != want || out.Problems[0].Site != "gate" {
			t.Errorf("got %v, want %s", out.Problems, want)
		}
	}
}

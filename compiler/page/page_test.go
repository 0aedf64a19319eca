package page

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"camfleet.dev/schema"
)

func TestFind(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]Route{
		"/":                                     {Kind: Front, Name: "index.html"},
		"/assets/page.js":                       {Kind: File, Name: "page.js"},
		"/assets/fleet.json":                    {Kind: File, Name: "fleet.json"},
		"/assets/a-b.min.css":                   {Kind: File, Name: "a-b.min.css"},
		"/archive/gate/north-2/live.m3u8":       {Kind: State, Site: "gate", Camera: "north-2", Name: "live.m3u8"},
		"/archive/g/n/status.json":              {Kind: State, Site: "g", Camera: "n", Name: "status.json"},
		"/archive/g/n/index.json":               {Kind: State, Site: "g", Camera: "n", Name: "index.json"},
		"/archive/g/n/2026-11-22/04.m3u8":       {Kind: State, Site: "g", Camera: "n", Name: "2026-11-22/04.m3u8"},
		"/archive/g/n/days/2026-11-22.json":     {Kind: State, Site: "g", Camera: "n", Name: "days/2026-11-22.json"},
		"/archive/g/n/2026-11-22/04/17.m4s":     {Kind: Recording, Site: "g", Camera: "n", Name: "2026-11-22/04/17.m4s"},
		"/archive/g/n/2026-11-22/04/init-a.mp4": {Kind: Recording, Site: "g", Camera: "n", Name: "2026-11-22/04/init-a.mp4"},
		"/archive/g/n/days/2026-11-22.mp4":      {Kind: Recording, Site: "g", Camera: "n", Name: "days/2026-11-22.mp4"},
		"/live/gate/north/index.m3u8":           {Kind: Live, Site: "gate", Camera: "north", Name: "index.m3u8"},
		"/live/gate/north/v_1.seg0.mp4":         {Kind: Live, Site: "gate", Camera: "north", Name: "v_1.seg0.mp4"},

		"":                                     {},
		"//":                                   {},
		"/index.html":                          {},
		"/assets/":                             {},
		"/assets/.git":                         {},
		"/assets/a/b.js":                       {},
		"/assets/../index.html":                {},
		"/archive/g/n/journal.jsonl":           {},
		"/archive/g/n/session.lock":            {},
		"/archive/g/n/live.m3u8\n":             {},
		"/archive/g/n/live.m3u8.tmp":           {},
		"/archive/g/../n/live.m3u8":            {},
		"/archive/-g/n/live.m3u8":              {},
		"/archive/g/n/2026-11-22/04/17.m4s/":   {},
		"/archive/g/n/2026-11-22/04/-17.m4s":   {},
		"/archive/g/n/days/2026-11-22.mp4.tmp": {},
		"/live/gate/north/":                    {},
		"/live/gate/north/a/b":                 {},
	} {
		if got := Find(path); got != want {
			t.Errorf("Find(%q) = %+v, want %+v", path, got, want)
		}
	}
}

// FuzzFind: what is found is a valid relative path without dotfiles, and leads back to itself.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{"/", "/assets/x", "/archive/g/n/live.m3u8", "/archive/g/n/../x", "/live/g/n/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := Find(path)
		if r.Kind == Missing {
			return
		}
		for _, element := range strings.Split(r.Name, "/") {
			if !fs.ValidPath(r.Name) || strings.HasPrefix(element, ".") || strings.ContainsAny(element, "\\%\x00\n") {
				t.Errorf("Find(%q) leads to %q", path, r.Name)
			}
		}
		if r.Camera != "" && !strings.HasSuffix(path, "/"+r.Site+"/"+r.Camera+"/"+r.Name) {
			t.Errorf("Find(%q) = %+v", path, r)
		}
	})
}

func site(cameras ...string) schema.Site {
	s := schema.Site{Title: "The gate", TimeZone: "Europe/Berlin", Cameras: map[string]schema.Camera{}}
	for _, name := range cameras {
		s.Cameras[name] = schema.Camera{
			URL: "rtsp://10.0.0.1/x", Description: "at " + name, Live: schema.Live{Latency: "low"}, Credentials: &schema.SecretRef{Secret: "keys"},
			Recording: schema.Recording{Enabled: true, Segment: schema.Duration(1500 * time.Millisecond), Days: schema.Days{Enabled: true}},
		}
	}
	return s
}

func TestNewSiteTellsWhatThePageNeedsAndNoMore(t *testing.T) {
	t.Parallel()
	s := site("south", "north")
	north := s.Cameras["north"]
	north.Recording.Enabled = false
	s.Cameras["north"] = north
	b, err := Fleet{Fleet: "home", Sites: []Site{NewSite("gate", s)}}.JSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"fleet":"home","sites":[{"name":"gate","title":"The gate","timeZone":"Europe/Berlin","cameras":[` +
		`{"name":"north","description":"at north","latency":"low","recording":false,"segmentSeconds":1.5,"days":false},` +
		`{"name":"south","description":"at south","latency":"low","recording":true,"segmentSeconds":1.5,"days":true}]}]}`
	if string(b) != want {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
}

func TestASiteWithoutCamerasHasAnEmptyList(t *testing.T) {
	t.Parallel()
	b, err := Fleet{Sites: []Site{NewSite("gate", schema.Site{})}}.JSON()
	if err != nil || !strings.Contains(string(b), `"cameras":[]`) {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	yard := Fleet{Fleet: "home", Sites: []Site{{Name: "yard"}}}
	gate := Fleet{Fleet: "home", Sites: []Site{{Name: "gate", Title: "first"}}}
	again := Fleet{Fleet: "home", Sites: []Site{{Name: "gate", Title: "second"}}}
	got := Merge(yard, gate, again)
	if got.Fleet != "home" || len(got.Sites) != 2 || got.Sites[0].Title != "first" || got.Sites[1].Name != "yard" {
		t.Errorf("got %+v", got)
	}
	if b, err := Merge().JSON(); err != nil || string(b) != `{"fleet":"","sites":[]}` {
		t.Errorf("merging nothing gives %s, %v", b, err)
	}
}

func TestNewConfig(t *testing.T) {
	t.Parallel()
	c, err := NewConfig("home", NewSite("gate", site("north", "south")), "")
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewConfig("home", NewSite("gate", site("north", "south")), "")
	if err != nil || !maps.Equal(c.Data, again.Data) || fmt.Sprint(c.Binary) != fmt.Sprint(again.Binary) {
		t.Errorf("the same site gives another configuration (%v)", err)
	}
	for _, key := range []string{ConfigName, Data, "camera.north", "camera.south"} {
		if _, ok := c.Data[key]; !ok {
			t.Errorf("no %s in it", key)
		}
	}
	if len(c.Binary["index.html.gz"]) == 0 {
		t.Error("no page in it")
	}
	var fleet Fleet
	if err := json.Unmarshal([]byte(c.Data[Data]), &fleet); err != nil || len(fleet.Sites) != 1 {
		t.Errorf("%s is %s, %v", Data, c.Data[Data], err)
	}
	alone, err := NewConfig("home", NewSite("gate", site("north")), "")
	if err != nil || alone.Data[ConfigName] != c.Data[ConfigName] {
		t.Errorf("nginx.conf depends on the cameras (%v): every new one would restart the page", err)
	}
	closed, err := NewConfig("home", NewSite("gate", site("north")), "viewers")
	if _, open := alone.Data[Door]; open || err != nil || closed.Data[Door] != "viewers" || closed.Data[ConfigName] == alone.Data[ConfigName] {
		t.Errorf("the door is %q in %v (%v)", closed.Data[Door], alone.Data, err)
	}
	if free := maxConfig - c.size(); free < 256<<10 {
		t.Errorf("the page's files leave only %d bytes of the ConfigMap to the cameras", free)
	}
}

func TestNewConfigRefusesWhatAConfigMapCannotHold(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 10_000 {
		names = append(names, fmt.Sprintf("camera-with-a-rather-long-name-%d", i))
	}
	_, err := NewConfig("home", NewSite("gate", site(names...)), "")
	if err == nil || !strings.Contains(err.Error(), "split the site's 10000 cameras") {
		t.Errorf("got %v", err)
	}
}

func TestCompressedTakesFlatFilesOnly(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{"a folder": "fonts/a.woff2", "a dotfile": ".DS_Store", "a space": "a b.js"} {
		if _, err := compressed(fstest.MapFS{file: {Data: []byte("x")}}); err == nil {
			t.Errorf("%s (%s) was taken", name, file)
		}
	}
}

func TestConfKeepsToItsSite(t *testing.T) {
	t.Parallel()
	conf := InPod("gate", false).Conf()
	for _, want := range []string{
		`"^/archive/gate/(?<camera>`, "http://camera-$camera.cameras.camfleet-gate.svc$camfleet_domain:8080/live/gate/$camera/$file$is_args$args;",
		"proxy_buffering off;", "add_header X-Accel-Buffering no always;", "include /run/camfleet/resolver.conf;", "listen 8080;",
	} {
		if !strings.Contains(conf, want) {
			t.Errorf("nginx.conf lacks %s", want)
		}
	}
	if door := InPod("gate", true).Conf(); strings.Contains(conf, "auth_basic_user_file") || !strings.Contains(door, "auth_basic_user_file /etc/camfleet/auth/auth;") {
		t.Errorf("nginx.conf with a door is\n%s", door)
	}
	if strings.Contains(conf, "autoindex") || strings.Contains(conf, "<no value>") {
		t.Errorf("nginx.conf is\n%s", conf)
	}
}

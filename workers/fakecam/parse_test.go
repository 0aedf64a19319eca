package fakecam

import (
	"strings"
	"testing"
	"time"
)

func TestParseFaults(t *testing.T) {
	t.Parallel()
	good := map[string]Faults{
		"":                           {},
		"drop=0.05&reorder=1&seed=7": {Drop: 0.05, Reorder: 1, Seed: 7},
		"stall,halfopen=true,noidr":  {Stall: true, HalfOpen: true, NoIDR: true},
		"stall=false,unauthorized":   {Unauthorized: true},
		"redirect=rtsp%3A%2F%2F192.0.2.1%2Fx&notfound": {Redirect: "rtsp://192.0.2.1/x", NotFound: true},
		"clip=motion,midgop,jump=-1h,skew=2s":          {Clip: Motion, MidGOP: true, Jump: -time.Hour, Skew: 2 * time.Second},
		"noreports,sdponly":                            {NoReports: true, SDPOnly: true},
		"streamonly":                                   {StreamOnly: true},
	}
	for text, want := range good {
		if got, err := ParseFaults(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	bad := map[string]string{
		"dorp=1": "use drop", "drop=2": "from 0 to 1", "drop=NaN": "from 0 to 1", "drop": "drop", "stall=maybe": "stall",
		"jump=5": "jump", "seed=-1": "seed", "midgop": "clip=NAME", "sdponly,streamonly": "somewhere",
		"redirect=http://x/": "RTSP", "drop=%zz": "drop",
	}
	for text, want := range bad {
		if _, err := ParseFaults(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", text, err, want)
		}
	}
}

func FuzzParseFaults(f *testing.F) {
	f.Add("drop=0.05&reorder=1&seed=7,jump=1h")
	f.Add("redirect=rtsp%3A%2F%2Fx&clip=motion,midgop")
	f.Fuzz(func(t *testing.T, text string) {
		if faults, err := ParseFaults(text); err == nil && faults.check() != nil {
			t.Errorf("%q is taken, but does not hold", text)
		}
	})
}

func TestSet(t *testing.T) {
	t.Parallel()
	set, err := NewSet("127.0.0.1:0", []Source{
		{Site: "gate", Name: "north", URL: "rtsp://192.0.2.1/stream?channel=1", Username: "admin", Password: "kumquat"},
		{Site: "gate", Name: "south", URL: "rtsps://camera.example/stream"},
		{Site: "yard", Name: "east", URL: "rtsp://127.0.0.1:18554/yard/east?clip=motion&drop=0.1"},
		{Site: "yard", Name: "west", URL: "rtsp://localhost:18554/yard/west"},
		{Site: "yard", Name: "copy", URL: "rtsp://[::1]:18554/yard/west"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Servers) != 3 || len(set.LeftOut) != 0 {
		t.Fatalf("servers %v, left out %v", set.Servers, set.LeftOut)
	}
	local := set.Servers["127.0.0.1:18554"]
	east := local.Cameras["/yard/east?clip=motion&drop=0.1"]
	if len(local.Cameras) != 2 || east.Clip != Motion || east.Faults.Drop != 0.1 {
		t.Errorf("on 127.0.0.1:18554: %+v", local.Cameras)
	}
	if s, path := set.Camera("yard", "west"); s != local || path != "/yard/west" {
		t.Errorf("yard/west is at %s", path)
	}
	if s, _ := set.Camera("yard", "nowhere"); s != nil || set.URL("yard", "nowhere") != "" {
		t.Error("a camera that is not there")
	}
	remote := set.Servers["127.0.0.1:0"]
	if len(remote.Cameras) != 2 || remote.Cameras["/gate/north"].Password != "kumquat" {
		t.Errorf("on the listener: %+v", remote.Cameras)
	}
}

func TestSetServes(t *testing.T) {
	t.Parallel()
	set, err := NewSet("127.0.0.1:0", []Source{{Site: "gate", Name: "north", URL: "rtsp://192.0.2.1/x", Username: "admin", Password: "kumquat"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Start(); err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if url := set.URL("gate", "north"); !strings.HasSuffix(url, "/gate/north") || strings.Contains(url, "kumquat") {
		t.Errorf("URL %s", url)
	}
	play(t, withUser(t, set.URL("gate", "north"), "admin", "kumquat"), 0).frame(t)
}

func TestSetProblems(t *testing.T) {
	t.Parallel()
	_, err := NewSet("", []Source{
		{Site: "a", Name: "tls", URL: "rtsps://127.0.0.1:18555/x"},
		{Site: "a", Name: "typo", URL: "rtsp://127.0.0.1:18555/x?dorp=1"},
		{Site: "a", Name: "bad", URL: "rtsp://admin:kumquat@host:port/x"},
		{Site: "a", Name: "one", URL: "rtsp://127.0.0.1:18555/one", Username: "u", Password: "1"},
		{Site: "a", Name: "two", URL: "rtsp://127.0.0.1:18555/one", Username: "u", Password: "2"},
		{Site: "a", Name: "zero", URL: "rtsp://127.0.0.1:0/one"},
	}, nil)
	if err == nil || strings.Contains(err.Error(), "kumquat") {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"a/tls: rtsps", "a/typo: fault \"dorp\"", "a/bad: its URL", "a/two: another camera", "a/zero: its port"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
	set, err := NewSet("", []Source{{Site: "a", Name: "far", URL: "rtsp://192.0.2.1/x"}}, nil)
	if err != nil || len(set.LeftOut) != 1 {
		t.Errorf("left out: %v, %v", set.LeftOut, err)
	}
}

// TestSetTakenPort: when one server cannot start, none stays.
func TestSetTakenPort(t *testing.T) {
	t.Parallel()
	busy := start(t, &Server{})
	set, err := NewSet(busy.Addr(), []Source{{Site: "a", Name: "far", URL: "rtsp://192.0.2.1/x"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Start(); err == nil || !strings.Contains(err.Error(), busy.Addr()) {
		t.Errorf("%v, want the address in it", err)
	}
}

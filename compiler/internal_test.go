package compiler

import (
	"strings"
	"testing"

	"camfleet.dev/compiler/internal/load"
	"camfleet.dev/schema"
)

// TestPanicsStayInTheirSite makes the stages fail as a bug in CUE or in us
// would: each is a problem of the site that it was about.
func TestPanicsStayInTheirSite(t *testing.T) {
	t.Parallel()
	c := &compilation{loader: &load.Loader{}} // nothing is set up
	s := &site{name: "gate", dir: "sites/gate"}
	if err := guarded(t.Context(), s, c.loadSite); err != nil {
		t.Errorf("loading: %v", err)
	}
	stuck := &site{name: "yard", dir: "sites/yard", spec: schema.Site{Cameras: map[string]schema.Camera{"a": {}}}}
	if err := guarded(t.Context(), stuck, c.renderSite); err != nil {
		t.Errorf("rendering: %v", err)
	}
	for _, s := range []*site{s, stuck} {
		if !s.broken || len(s.problems) == 0 {
			t.Errorf("%s: broken %v, %v", s.name, s.broken, s.problems)
			continue
		}
		if p := s.problems[len(s.problems)-1]; p.Site != s.name || p.File != s.dir || !strings.Contains(p.Message, "failed") || strings.Contains(p.Message, ".go:") {
			t.Errorf("%s: %+v", s.name, p)
		}
	}
}

func TestStreamOf(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"rtsp://h/a", "rtsp://H/a", "rtsp://h:554/a"},
		{"rtsps://h", "rtsps://h:322/"},
		{"rtsp://[fe80::1]/a", "rtsp://[fe80::1]:554/a", "rtsp://[FE80::1]/a"},
	} {
		first, _ := streamOf(same[0])
		for _, other := range same[1:] {
			if key, _ := streamOf(other); key != first {
				t.Errorf("%s and %s: %s, %s", same[0], other, first, key)
			}
		}
	}
	distinct := map[string]string{}
	for _, url := range []string{"rtsp://h/a", "rtsp://h/A", "rtsps://h/a", "rtsp://h:8554/a", "rtsp://h/a?x=1", "rtsp://h/a/"} {
		key, _ := streamOf(url)
		if was, taken := distinct[key]; taken {
			t.Errorf("%s and %s are one", was, url)
		}
		distinct[key] = url
	}
}

func TestPrivateHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"10.0.0.1": true, "192.168.1.1": true, "127.0.0.1": true, "169.254.1.1": true, "fd00::1": true, "cam": true, "cam.local": true,
		"8.8.8.8": false, "2001:4860::1": false, "cam.example.org": false,
	} {
		if privateHost(host) != want {
			t.Errorf("%s is private: %v", host, !want)
		}
	}
}

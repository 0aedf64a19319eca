package control

import (
	"crypto/rand"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
)

// big is a status of n cameras, of which every tenth is away, with texts that
// nobody can pack.
func big(n int) status.Status {
	s := at(commitA)
	s.Cameras, s.Synced = nil, time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for i := range n {
		c := status.Camera{Site: "gate", Name: fmt.Sprintf("c%05d", i), State: "live", Live: rand.Text(), LowLatency: rand.Text(), Message: rand.Text()}
		if i%10 == 0 {
			c.State = "unreachable"
		}
		s.Cameras = append(s.Cameras, c)
		s.Changes = append(s.Changes, engine.Change{Action: engine.Created, ID: object.ID{Kind: "Pod", Name: c.Name}, Reason: rand.Text()})
	}
	return s
}

func TestPack(t *testing.T) {
	t.Parallel()
	s := big(50)
	s.Fetched = time.Now()
	p, err := pack(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := unpack(p.status)
	s.Fetched = time.Time{}
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%v: something is lost", err)
	}
}

// TestPackCuts: what does not fit is left out, the least important first, and that is said.
func TestPackCuts(t *testing.T) {
	t.Parallel()
	s := big(300)
	whole := len(must2(packInto(s, 1<<30)).status)
	limit := whole
	for _, c := range []struct { // each limit is a byte less than what the one before came to
		changes, live, away int
		liveURL             bool
		said                string
	}{
		{300, 270, 30, true, ""},
		{0, 270, 30, true, "300 changes"},
		{0, 270, 30, false, "addresses of 270 live cameras"},
		{0, 0, 30, false, "270 live cameras are left out"},
		{0, 0, 10, false, "each list has at most 10"},
	} {
		p, err := packInto(s, limit)
		if err != nil || len(p.status) > limit {
			t.Errorf("%d: %v, %d bytes", limit, err, len(p.status))
			continue
		}
		limit = len(p.status) - 1
		got := must2(unpack(p.status))
		live, away, url := 0, 0, false
		for _, camera := range got.Cameras {
			if camera.State == "live" {
				live++
				url = url || camera.Live != ""
			} else {
				away++
			}
		}
		if len(got.Changes) != c.changes || live != c.live || away != c.away || url != c.liveURL || !strings.Contains(strings.Join(got.Warnings, "\n"), c.said) {
			t.Errorf("%d changes, %d live (%v), %d away, warnings %q", len(got.Changes), live, url, away, got.Warnings)
		}
		if !strings.Contains(p.summary, "300 cameras: 270 live, 30 unreachable") {
			t.Errorf("the summary counts what is left:\n%s", p.summary)
		}
	}
	if _, err := packInto(s, 100); err == nil {
		t.Error("100 bytes are enough for everything")
	}
	if len(s.Cameras) != 300 || s.Cameras[1].Live == "" || len(s.Changes) != 300 {
		t.Error("packing changed the status itself")
	}
}

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestPackSize measures what a large fleet needs.
func TestPackSize(t *testing.T) {
	t.Parallel()
	s := at(commitA)
	s.Cameras = nil
	for i := range 5000 {
		s.Cameras = append(s.Cameras, status.Camera{
			Site: fmt.Sprintf("site-%03d", i/50), Name: fmt.Sprintf("camera-%02d", i%50), State: "live", Since: time.Unix(int64(i*7919), 0).UTC(),
		})
	}
	p, err := pack(s)
	if err != nil || len(p.status) > maxPacked/4 || len(must2(unpack(p.status)).Cameras) != 5000 {
		t.Errorf("%v: %d bytes", err, len(p.status))
	}
	t.Logf("5,000 cameras are %d bytes", len(p.status))
}

func TestUnpackGarbage(t *testing.T) {
	t.Parallel()
	good := must2(pack(big(3))).status
	for _, data := range [][]byte{nil, {}, []byte("{}"), good[:len(good)/2]} {
		if s, err := unpack(data); err == nil {
			t.Errorf("%q is read as %v", data, s)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	s := big(30)
	s.Suspended = &status.Suspension{Since: time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC), Reason: "holidays"}
	s.FetchError = "no route to host"
	s.Held = make([]engine.Change, 2)
	s.Health = []status.Health{{ID: object.ID{Kind: "CronJob", Name: "days-north"}, Message: "the day file of 2026-11-22 is missing"}}
	for i := range 25 {
		s.Warnings = append(s.Warnings, fmt.Sprint("w", i))
	}
	got := summary(s)
	for _, want := range []string{
		"suspended since 2026-11-24T01:02:03Z: holidays\n", "commit aaaaaaaaaaaa of ", "30 cameras: 27 live, 3 unreachable\n",
		"camera: gate/c00010 is unreachable: ", "the repository cannot be read: no route to host\n", "2 deletions wait for approval, the first: ",
		"not well: CronJob/days-north: the day file of 2026-11-22 is missing\n", "warning: and 5 more\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	s.FetchError = strings.Repeat("ü", maxSummary)
	if p := must2(pack(s)); len(p.summary) > maxSummary {
		t.Errorf("%d bytes", len(p.summary))
	}
}

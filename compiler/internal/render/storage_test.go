package render

import (
	"strings"
	"testing"

	"camfleet.dev/schema"
)

// recorder is a camera of 8 Mbit/s, 86.4 GB (80.47 Gi) a day.
func recorder(segments, files schema.Duration) schema.Camera {
	c := camera("rtsp://10.0.0.1/x")
	c.Bitrate = 8e6
	c.Recording.Retention.Age = segments
	c.Recording.Days = schema.Days{Enabled: files > 0, Retention: schema.Retention{Age: files}}
	return c
}

const days1 = 24 * hour

func storage(size schema.Size, cameras ...schema.Camera) Input {
	return with(func(in *Input) {
		in.Site.Storage.Size = size
		in.Site.Cameras = map[string]schema.Camera{}
		for i, c := range cameras {
			in.Site.Cameras[string(rune('a'+i))] = c
		}
	})
}

func TestStorageFits(t *testing.T) {
	t.Parallel()
	with := func(c schema.Camera, change func(*schema.Camera)) schema.Camera { change(&c); return c }
	const G = 1e9
	for name, c := range map[string]struct {
		in   Input
		want string // "" when it fits
	}{
		"segments fit exactly":   {in: storage(864*G, recorder(10*days1, 0))},
		"a byte less":            {in: storage(864*G-1, recorder(10*days1, 0)), want: "full on day 10 of recording, and 805Gi are needed; give it size: \"805Gi\", or keep both segments and day files at most 9 days"},
		"full on the first day":  {in: storage(40*G, recorder(days1, 0)), want: "full on day 1 of recording, and 81Gi are needed; give it size: \"81Gi\", or lower bitrate"},
		"hours of segments":      {in: storage(44*G, recorder(12*hour, 0))},
		"day files, and joining": {in: storage(864*G, recorder(2*days1, 7*days1))}, // 2 + 7 + 1 while joining
		"no room for joining":    {in: storage(863*G, recorder(2*days1, 7*days1)), want: "full on day 9 of recording, and 805Gi are needed; give it size: \"805Gi\", or keep day files at most 6 days (recording.days.retention.age: \"6d\")"},
		"too many segments too":  {in: storage(400*G, recorder(7*days1, 30*days1)), want: "or keep both segments and day files at most 1 days"},
		"two cameras":            {in: storage(900*G, recorder(5*days1, 0), recorder(6*days1, 0)), want: "full on day 6"},
		"a limit in bytes": {in: storage(100*G, with(recorder(100*days1, 0), func(c *schema.Camera) {
			c.Recording.Retention.Bytes = 100 * G
		}))},
		"day files limited in bytes": {in: storage(300*G, with(recorder(days1, 100*days1), func(c *schema.Camera) {
			c.Recording.Days.Retention.Bytes = 120 * G
		}))},
		"disabled":         {in: storage(1, with(recorder(100*days1, 0), func(c *schema.Camera) { c.Disabled = true }))},
		"not recording":    {in: storage(1, with(recorder(100*days1, 0), func(c *schema.Camera) { c.Recording.Enabled = false }))},
		"no cameras":       {in: storage(1)},
		"beyond all sense": {in: storage(1<<50, with(recorder(99999*days1, 99999*days1), func(c *schema.Camera) { c.Bitrate = 999999e9 })), want: "full on day 1 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := Site(c.in)
			switch {
			case c.want == "" && len(out.Problems) > 0:
				t.Errorf("does not fit: %v", out.Problems)
			case c.want != "" && (len(out.Problems) != 1 || !strings.Contains(out.Problems[0].Message, c.want)):
				t.Errorf("got %v, want %q", out.Problems, c.want)
			case c.want != "" && out.Problems[0].Path != "site.storage.size":
				t.Errorf("the problem is at %s", out.Problems[0].Path)
			}
		})
	}
}

// TestFullOn: the search finds what looking at every day finds.
func TestFullOn(t *testing.T) {
	t.Parallel()
	for _, ages := range [][2]schema.Duration{{2 * days1, 7 * days1}, {7 * days1, 30 * days1}, {12 * hour, 9 * days1}, {20 * days1, 0}} {
		for size := 100e9; size < 3000e9; size += 77e9 {
			ls := loads{loadOf(recorder(ages[0], ages[1])), loadOf(recorder(ages[1]+days1, ages[0]))}
			day, full := ls.fullOn(size)
			want := 0
			for d := 60; d > 0; d-- {
				if ls.during(d) > size {
					want = d
				}
			}
			if full != (want > 0) || day != want {
				t.Errorf("%v on %g: full is %v on day %d, want day %d", ages, size, full, day, want)
			}
		}
	}
}

// TestAdviceIsEnough: what the message advises fits, and a day more does not.
func TestAdviceIsEnough(t *testing.T) {
	t.Parallel()
	for size := 200e9; size < 3000e9; size += 77e9 {
		ls := loads{loadOf(recorder(7*days1, 30*days1)), loadOf(recorder(20*days1, 0))}
		n := fitting(30, func(d float64) bool { return ls.keep(d, d).most() <= size })
		if n > 0 && ls.keep(float64(n), float64(n)).most() > size {
			t.Errorf("%d days do not fit on %g", n, size)
		}
		if n < 30 && ls.keep(float64(n+1), float64(n+1)).most() <= size {
			t.Errorf("%d days would fit on %g, %d are advised", n+1, size, n)
		}
	}
}

func TestGibi(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[float64]string{1: "1Gi", 1 << 30: "1Gi", 1<<30 + 1: "2Gi", 4096 << 30: "4096Gi", 5000 << 30: "5Ti"} {
		if got := gibi(bytes); got != want {
			t.Errorf("%.0f is %s, want %s", bytes, got, want)
		}
		if _, err := schema.ParseSize(gibi(bytes)); err != nil {
			t.Errorf("%s cannot be written in CUE: %v", gibi(bytes), err)
		}
	}
}

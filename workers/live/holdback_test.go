package live

import (
	"strings"
	"testing"
	"time"
)

func TestWithHoldBack(t *testing.T) {
	t.Parallel()
	const (
		head = "#EXTM3U\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK="
		tail = "\n#EXT-X-PART-INF:PART-TARGET=0.20000\n"
	)
	for name, c := range map[string]struct {
		in, want string
		reorder  time.Duration
	}{
		"plain":         {head + "0.50000,CAN-SKIP-UNTIL=6.0" + tail, "PART-HOLD-BACK=0.700,CAN-SKIP-UNTIL=6.0\n", 0},
		"last":          {head + "0.50000" + tail, "PART-HOLD-BACK=0.700\n", 0},
		"B-frames":      {head + "0.50000" + tail, "PART-HOLD-BACK=0.780\n", 80 * time.Millisecond},
		"no target":     {head + "0.50000\n", "PART-HOLD-BACK=0.50000\n", 0},
		"broken target": {head + "0.50000\n#EXT-X-PART-INF:PART-TARGET=x\n", "PART-HOLD-BACK=0.50000\n", 0},
		"cut off":       {head + "0.5", "PART-HOLD-BACK=0.5", 0},
		"none":          {"#EXTM3U\n", "#EXTM3U\n", 0},
		"empty":         {"", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := string(withHoldBack([]byte(c.in), c.reorder))
			if !strings.Contains(got, c.want) || strings.Count(got, "\n") != strings.Count(c.in, "\n") {
				t.Errorf("%q does not hold %q", got, c.want)
			}
		})
	}
}

func TestPosition(t *testing.T) {
	t.Parallel()
	const list = `#EXTM3U
#EXT-X-MEDIA-SEQUENCE:3
#EXT-X-GAP
#EXTINF:1.0,
gap.mp4
#EXT-X-PART:DURATION=0.2,URI="a_video1_part0.mp4"
#EXTINF:1.0,
a_video1_seg4.mp4
#EXT-X-PART:DURATION=0.2,URI="a_video1_part1.mp4"
#EXT-X-PART:DURATION=0.2,URI="a_video1_part2.mp4"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="a_video1_part3.mp4"
`
	pos, err := readPosition([]byte(list))
	if want := (position{msn: 5, parts: 2, next: 3}); err != nil || pos != want {
		t.Errorf("%+v %v, want %+v", pos, err, want)
	}
	for _, c := range []struct {
		msn, part uint64
		whole     bool
		want      bool
	}{
		{4, 0, true, true}, {5, 0, true, false}, {6, 0, true, false},
		{4, 7, false, true}, {5, 0, false, true}, {5, 1, false, true}, {5, 2, false, false}, {6, 0, false, false},
	} {
		if got := pos.has(c.msn, c.part, !c.whole); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	for _, bad := range []string{"", "#EXTM3U\n", list[:len(list)-25], "#EXT-X-MEDIA-SEQUENCE:x\n", strings.Replace(list, "part3", "parts", 1)} {
		if _, err := readPosition([]byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

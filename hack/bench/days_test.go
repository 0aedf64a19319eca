package main

import (
	"strings"
	"testing"
)

const printed = `goos: linux
BenchmarkTenMinutes/hls2mpeg-4         	       3	 326371482 ns/op	        14.05 MB-RSS	         0.4134 cpu-s/op
BenchmarkTenMinutes/ffmpeg+faststart-4 	       3	 604933540 ns/op
BenchmarkTenMinutes/ffmpegmp4-4        	       3	 522744116 ns/op
BenchmarkDay24h/worst=false-4          	       3	1916744859 ns/op	        52.26 MB-RSS	         1.852 cpu-s/op
PASS
`

func TestDayTable(t *testing.T) {
	t.Parallel()
	table, err := dayTable(printed)
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimRight(table, "\n"), "\n")
	want := [][]string{
		{"wall", "s", "peak", "RSS", "MB", "wall", "ratio"},
		{"10", "min,", "hls2mpeg", "0.33", "14.1", "0.62"},
		{"10", "min,", "ffmpeg", "-c", "copy", "0.52", "-", "1.00"},
		{"10", "min,", "ffmpeg", "-c", "copy", "+faststart", "0.60", "-", "1.16"},
		{"24", "h", "of", "tiny", "frames,", "hls2mpeg", "1.92", "52.3", "-"},
	}
	if len(rows) != len(want) {
		t.Fatalf("table is\n%s", table)
	}
	for i, row := range rows {
		if got := strings.Fields(row); strings.Join(got, " ") != strings.Join(want[i], " ") {
			t.Errorf("row %d is %q, want %q", i, got, want[i])
		}
	}
}

func TestDayTableRefuses(t *testing.T) {
	t.Parallel()
	if _, err := dayTable("PASS\n"); err == nil {
		t.Error("a table was made of nothing")
	}
}

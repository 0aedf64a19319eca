package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
)

// figures are one benchmark's: wall seconds, and megabytes of peak RSS (0: not measured).
type figures struct{ seconds, megabytes float64 }

var (
	benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op(.*)$`)
	rssMetric = regexp.MustCompile(`([\d.]+) MB-RSS`)
)

// parse reads what `go test -bench` prints (the Go benchmark format).
func parse(text string) map[string]figures {
	found := map[string]figures{}
	for _, m := range benchLine.FindAllStringSubmatch(text, -1) {
		ns, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			continue
		}
		f := figures{seconds: ns / 1e9}
		if rss := rssMetric.FindStringSubmatch(m[3]); rss != nil {
			f.megabytes, _ = strconv.ParseFloat(rss[1], 64)
		}
		found[m[1]] = f
	}
	return found
}

// dayTable is one row per benchmark, with its ratio to ffmpeg's plain copy.
func dayTable(text string) (string, error) {
	found := parse(text)
	ours, plain := found["TenMinutes/hls2mpeg"], found["TenMinutes/ffmpegmp4"]
	if ours.seconds == 0 || plain.seconds == 0 {
		return "", fmt.Errorf("the benchmarks printed something else than expected:\n%s", text)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\twall s\tpeak RSS MB\twall ratio\t")
	row := func(label, name string, peer float64) {
		f, ok := found[name]
		if !ok {
			return
		}
		rss, ratio := "-", "-"
		if f.megabytes > 0 {
			rss = fmt.Sprintf("%.1f", f.megabytes)
		}
		if peer > 0 {
			ratio = fmt.Sprintf("%.2f", f.seconds/peer)
		}
		fmt.Fprintf(w, "%s\t%.2f\t%s\t%s\t\n", label, f.seconds, rss, ratio)
	}
	row("10 min, hls2mpeg", "TenMinutes/hls2mpeg", plain.seconds)
	row("10 min, ffmpeg -c copy", "TenMinutes/ffmpegmp4", plain.seconds)
	row("10 min, ffmpeg -c copy +faststart", "TenMinutes/ffmpeg+faststart", plain.seconds)
	row("24 h of tiny frames, hls2mpeg", "Day24h/worst=false", 0)
	row("the same, every frame different", "Day24h/worst=true", 0)
	if err := w.Flush(); err != nil {
		return "", fmt.Errorf("laying out the table: %w", err)
	}
	return b.String(), nil
}

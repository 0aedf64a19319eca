package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// usage is what a group of processes uses.
type usage struct {
	start    time.Duration // CPU time before
	cpu      float64       // ms per camera-second
	rss, pss float64       // MB per camera, mean over the measurement
	samples  int
	sumRSS   float64
	sumPSS   float64
	peak     float64 // MB per camera
}

func (u *usage) begin(pids []int) (err error) {
	u.start, err = cpuTime(pids)
	return err
}

func (u *usage) sampleMemory(pids []int) error {
	rss, pss, err := memory(pids)
	u.samples++
	u.sumRSS, u.sumPSS, u.peak = u.sumRSS+rss, u.sumPSS+pss, max(u.peak, rss)
	return err
}

func (u *usage) end(pids []int, took time.Duration, cameras int) error {
	now, err := cpuTime(pids)
	n := float64(cameras)
	u.cpu = float64((now - u.start).Microseconds()) / 1000 / took.Seconds() / n
	u.rss, u.pss, u.peak = u.sumRSS/float64(u.samples)/n, u.sumPSS/float64(u.samples)/n, u.peak/n
	return err
}

// clockTick is how often per second Linux counts CPU time (USER_HZ).
const clockTick = 100

// cpuTime is the user and system time of processes so far (proc(5), stat).
func cpuTime(pids []int) (time.Duration, error) {
	var ticks int64
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("a process has ended: %w", err)
		}
		fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
		for _, f := range fields[11:13] { // utime, stime
			n, err := strconv.ParseInt(string(f), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * time.Second / clockTick, nil
}

// memory is the resident and the proportional size of processes, in MB.
func memory(pids []int) (rss, pss float64, err error) {
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, 0, fmt.Errorf("a process has ended: %w", err)
		}
		lines := bufio.NewScanner(bytes.NewReader(data))
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ":")
			kb, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			switch name {
			case "Rss":
				rss += kb / 1000
			case "Pss":
				pss += kb / 1000
			}
		}
	}
	return rss, pss, nil
}

func report(out io.Writer, all []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\ncameras\t\tCPU ms/camera-s\tRSS MB/camera\tpeak RSS\tPSS MB/camera\t")
	for _, r := range all {
		line := func(who string, u usage) {
			fmt.Fprintf(w, "%d\t%s\t%.2f\t%.1f\t%.1f\t%.1f\t\n", r.cameras, who, u.cpu, u.rss, u.peak, u.pss)
		}
		line("camfleet-worker", r.worker)
		line("ffmpeg", r.ffmpeg)
		fmt.Fprintf(w, "\tratio\t%.2f\t1/%.1f\t1/%.1f\t1/%.1f\t\n",
			r.worker.cpu/r.ffmpeg.cpu, r.ffmpeg.rss/r.worker.rss, r.ffmpeg.peak/r.worker.peak, r.ffmpeg.pss/r.worker.pss)
	}
	return w.Flush()
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"camfleet.dev/schema"
)

// result is one measurement: the same cameras, recorded by both.
type result struct {
	cameras        int
	worker, ffmpeg usage
}

// measure runs n ffmpeg processes and one worker side by side.
func (b *bench) measure(ctx context.Context, n int) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var procs group
	defer procs.stop()
	address, err := b.startServer(ctx, &procs, n)
	if err != nil {
		return result{}, err
	}
	var worker, ffmpeg []int
	if b.only != "ffmpeg" {
		if worker, err = b.startWorker(ctx, &procs, n, address); err != nil {
			return result{}, err
		}
	}
	for i := range n {
		if b.only == "worker" {
			break
		}
		pid, err := b.startFFmpeg(ctx, &procs, n, i, address)
		if err != nil {
			return result{}, err
		}
		ffmpeg = append(ffmpeg, pid)
	}
	fmt.Fprintf(b.out, "%d camera(s): warming up for %s, measuring for %s\n", n, b.warmup, b.length)
	if err := wait(ctx, b.warmup); err != nil {
		return result{}, err
	}
	r := result{cameras: n}
	err = b.watch(ctx, map[*usage][]int{&r.worker: worker, &r.ffmpeg: ffmpeg}, n)
	return r, errors.Join(err, b.check(n))
}

// watch measures the groups of processes at the same time.
func (b *bench) watch(ctx context.Context, groups map[*usage][]int, n int) error {
	began := time.Now()
	for u, pids := range groups {
		if err := u.begin(pids); err != nil {
			return err
		}
	}
	for time.Since(began) < b.length {
		if err := wait(ctx, min(time.Second, b.length)); err != nil {
			return err
		}
		for u, pids := range groups {
			if err := u.sampleMemory(pids); err != nil {
				return err
			}
		}
	}
	for u, pids := range groups {
		if err := u.end(pids, time.Since(began), n); err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// check looks whether the worker has really recorded.
func (b *bench) check(n int) error {
	if b.only == "ffmpeg" {
		return nil
	}
	for i := range n {
		dir := filepath.Join(b.archive(n), "bench", cameraName(i))
		found, err := filepath.Glob(filepath.Join(dir, "*", "*", "*.m4s"))
		if err != nil || len(found) < int(b.length/(4*time.Second)) {
			return fmt.Errorf("%s holds %d segments: the worker did not record (%w)", dir, len(found), err)
		}
	}
	return nil
}

func cameraName(i int) string { return fmt.Sprintf("camera-%d", i+1) }

func (b *bench) archive(n int) string { return filepath.Join(b.folder, fmt.Sprintf("archive-%d", n)) }

func (b *bench) startServer(ctx context.Context, procs *group, n int) (address string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, "serve", "--clip", b.clip(), "--n", fmt.Sprint(n))
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return "", fmt.Errorf("start the cameras: %w", err)
	}
	if err := procs.start(cmd); err != nil {
		return "", err
	}
	address, err = bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the cameras did not start: %w", err)
	}
	return strings.TrimSpace(address), nil
}

func (b *bench) startWorker(ctx context.Context, procs *group, n int, address string) ([]int, error) {
	config := filepath.Join(b.folder, fmt.Sprintf("config-%d", n))
	if err := os.MkdirAll(config, 0o755); err != nil {
		return nil, fmt.Errorf("make the configuration: %w", err)
	}
	for i := range n {
		data, err := json.Marshal(schema.WorkerCamera{
			Site: "bench", Name: cameraName(i), TimeZone: "UTC", URL: "rtsp://" + address + cameraPath(i), Transport: "tcp",
			Recording: schema.Recording{Enabled: true, Segment: schema.Duration(2 * time.Second), Retention: schema.Retention{Age: schema.Duration(time.Hour)}},
			Live:      schema.Live{Latency: "standard"}, Bitrate: 4e6,
		})
		if err == nil {
			err = os.WriteFile(filepath.Join(config, "bench."+cameraName(i)+".json"), data, 0o644)
		}
		if err != nil {
			return nil, fmt.Errorf("make the configuration: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, b.worker, "rtsp2hls", "--config", config,
		"--archive", filepath.Join(b.archive(n), "{site}", "{camera}"), "--secrets", b.folder, "--log-level", "warn",
		"--listen", "unix:"+filepath.Join(b.folder, fmt.Sprintf("worker-%d.sock", n)), "--metrics", "127.0.0.1:0")
	cmd.Stderr = os.Stderr
	if err := procs.start(cmd); err != nil {
		return nil, err
	}
	return []int{cmd.Process.Pid}, nil
}

func (b *bench) startFFmpeg(ctx context.Context, procs *group, n, i int, address string) (int, error) {
	dir := filepath.Join(b.folder, fmt.Sprintf("ffmpeg-%d", n), cameraName(i))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, fmt.Errorf("make a folder for ffmpeg: %w", err)
	}
	cmd := exec.CommandContext(ctx, "ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin",
		"-rtsp_transport", "tcp", "-i", "rtsp://"+address+cameraPath(i),
		"-c", "copy", "-f", "hls", "-hls_time", "2", filepath.Join(dir, "live.m3u8"))
	cmd.Stderr = os.Stderr
	if err := procs.start(cmd); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, nil
}

// group is the processes of a measurement.
type group struct{ cmds []*exec.Cmd }

func (g *group) start(cmd *exec.Cmd) error {
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	g.cmds = append(g.cmds, cmd)
	return nil
}

// stop ends the processes, the newest first, and waits for them.
func (g *group) stop() {
	for i := len(g.cmds) - 1; i >= 0; i-- {
		_ = g.cmds[i].Process.Signal(syscall.SIGTERM) // it may have ended
		_ = g.cmds[i].Wait()                          // ended by our signal
	}
}

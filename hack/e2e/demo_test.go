// Package e2e runs the built programs as a user would: the demo from start to
// Ctrl-C, with a real browser, real commits and real kills.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"camfleet.dev/hack/programs"
)

var built programs.Set

func TestMain(m *testing.M) {
	code := m.Run()
	if err := built.Remove(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// output collects what a program prints while others read it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// demo is a running `camfleet demo`.
type demo struct {
	t    *testing.T
	cmd  *exec.Cmd
	dir  string
	url  string
	out  *output
	done chan struct{}
}

var pageURL = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// startDemo runs the demo in dir until the test ends.
func startDemo(t *testing.T, dir string, args ...string) *demo {
	t.Helper()
	d := &demo{t: t, dir: dir, out: &output{}, done: make(chan struct{})}
	// A relative folder, as the README's: what runs elsewhere must find it too.
	d.cmd = exec.Command(built.Path(t, "camfleet"), append([]string{"demo", "--listen", "127.0.0.1:0", "--dir", filepath.Base(dir)}, args...)...)
	d.cmd.Dir = filepath.Dir(dir)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stdout, d.cmd.Stderr = write, write
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	found := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(read)
		for lines.Scan() {
			fmt.Fprintln(d.out, lines.Text())
			if u := pageURL.FindString(lines.Text()); u != "" {
				select {
				case found <- u:
				default:
				}
			}
		}
	}()
	go func() {
		_ = d.cmd.Wait()
		close(d.done)
	}()
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			t.Logf("camfleet demo printed:\n%s", d.out)
		}
	})
	select {
	case d.url = <-found:
	case <-d.done:
		t.Fatalf("camfleet demo ended:\n%s", d.out)
	case <-time.After(60 * time.Second):
		t.Fatalf("camfleet demo printed no address:\n%s", d.out)
	}
	return d
}

func (d *demo) kill() {
	_ = d.cmd.Process.Kill()
	<-d.done
}

// stop is Ctrl-C; the demo must end by itself, with exit code 0.
func (d *demo) stop() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-d.done:
	case <-time.After(20 * time.Second):
		d.t.Fatalf("the demo did not end within 20 s of Ctrl-C")
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 0 {
		d.t.Errorf("exit code %d after Ctrl-C, want 0", code)
	}
}

// camera and status are the status API as the issue fixes it for programs.
type camera struct {
	Site, Name, State, Since string
	Live                     string `json:"live"`
	LowLatency               string `json:"lowLatency"`
}

type status struct {
	Commit   string
	Time     string
	Cameras  []camera
	Problems []struct {
		File          string
		Line, Column  int
		Path, Message string
	}
}

func (d *demo) get(path string) (string, int) {
	d.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = d.url + path
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error(), 0
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error(), 0
	}
	return string(b), res.StatusCode
}

func (d *demo) status() status {
	d.t.Helper()
	var s status
	body, code := d.get("/api/v1/status")
	if code == 0 {
		return s // not up yet
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		d.t.Fatalf("status %d is not JSON: %v\n%s", code, err, body)
	}
	return s
}

// waitFor polls until ok, and says how long it took.
func (d *demo) waitFor(what string, limit time.Duration, ok func(status) bool) time.Duration {
	d.t.Helper()
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s := d.status()
		if ok(s) {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			d.t.Fatalf("%s: not within %s; status %+v", what, limit, s)
		}
		<-tick.C
	}
}

// allLive waits until n cameras are live and each has a segment in its playlist.
func (d *demo) allLive(n int, limit time.Duration) {
	d.t.Helper()
	d.waitFor(fmt.Sprintf("%d cameras live", n), limit, func(s status) bool {
		live := 0
		for _, c := range s.Cameras {
			if c.State != "live" {
				continue
			}
			if body, code := d.get(c.Live); code == http.StatusOK && strings.Contains(body, "#EXTINF") {
				live++
			}
		}
		return live == n && len(s.Cameras) == n
	})
}

// git runs git in the demo's repository.
func (d *demo) git(args ...string) string {
	d.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = filepath.Join(d.dir, "fleet")
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=E2E", "GIT_AUTHOR_EMAIL=e2e@camfleet.dev", "GIT_COMMITTER_NAME=E2E", "GIT_COMMITTER_EMAIL=e2e@camfleet.dev")
	out, err := cmd.CombinedOutput()
	if err != nil {
		d.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit changes one file of the fleet and commits; content "" removes it.
func (d *demo) commit(name, content string) (hash string, at time.Time) {
	d.t.Helper()
	file := filepath.Join(d.dir, "fleet", filepath.FromSlash(name))
	if content == "" {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			d.t.Fatal(err)
		}
	} else if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		d.t.Fatal(err)
	}
	d.git("add", "-A")
	d.git("commit", "-q", "-m", "Change "+name)
	return d.git("rev-parse", "HEAD"), time.Now()
}

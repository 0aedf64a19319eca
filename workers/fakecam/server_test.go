package fakecam

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// need skips a test without an external program, but not where CI says that it is there.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing", program)
	}
	t.Skipf("%s is not installed (Debian: apt-get install ffmpeg)", program)
}

// run runs an external program and returns its output and its messages.
func run(t *testing.T, name string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	need(t, name)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	err = cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %s took too long; it said:\n%s", name, strings.Join(args, " "), msg.String())
	}
	return out.String(), msg.String(), err
}

// start starts a server on a free port.
func start(t *testing.T, s *Server) *Server {
	t.Helper()
	if s.Listen == "" {
		s.Listen = "127.0.0.1:0"
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// withUser puts credentials into a URL, as only clients in tests do.
func withUser(t *testing.T, raw, user, pass string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, pass)
	return u.String()
}

// TestFFprobe asks an independent client what the camera sends.
func TestFFprobe(t *testing.T) {
	t.Parallel()
	s := start(t, &Server{Any: true, Cameras: map[string]Camera{
		"/gate/north": {Clip: Motion, Username: "admin", Password: "kumquat"},
	}})
	for _, transport := range []string{"tcp", "udp"} {
		for _, c := range []struct{ name, url, want string }{
			{"password", withUser(t, s.URL("/gate/north"), "admin", "kumquat"), "h264,High,480,270,25/1"},
			{"any", s.URL("/yard/east?clip=quiet"), "h264,High,640,360,25/1"},
			{"bframes", s.URL("/yard/east?clip=bframes"), "h264,High,320,180,25/1"},
		} {
			t.Run(transport+" "+c.name, func(t *testing.T) {
				t.Parallel()
				out, msg, err := run(t, "ffprobe", "-v", "error", "-rtsp_transport", transport, "-of", "csv=p=0",
					"-show_entries", "stream=codec_name,profile,width,height,r_frame_rate", c.url)
				if err != nil || strings.TrimSpace(out) != c.want {
					t.Errorf("ffprobe: %v, %q, want %q; it said %q", err, out, c.want, msg)
				}
			})
		}
	}
}

func TestFFprobeRefused(t *testing.T) {
	t.Parallel()
	s := start(t, &Server{Cameras: map[string]Camera{"/a": {Username: "admin", Password: "kumquat"}}})
	for _, c := range []struct{ name, url, want string }{
		{"wrong password", withUser(t, s.URL("/a"), "admin", "quince"), "401"},
		{"no password", s.URL("/a"), "401"},
		{"no such camera", s.URL("/b"), "404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, msg, err := run(t, "ffprobe", "-v", "error", "-rtsp_transport", "tcp", c.url)
			if err == nil || !strings.Contains(msg, c.want) {
				t.Errorf("ffprobe: %v, want %s; it said %q", err, c.want, msg)
			}
		})
	}
}

func TestOnlyThisMachine(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "camera.example:0", "127.0.0.1"} {
		s := &Server{Listen: listen}
		if err := s.Start(); err == nil {
			s.Close()
			t.Errorf("listens on %q", listen)
		}
	}
	start(t, &Server{Listen: "0.0.0.0:0", AllowRemote: true})
}

func TestUnknownCamera(t *testing.T) {
	t.Parallel()
	s := start(t, &Server{})
	for what, err := range map[string]error{
		"SetFaults": s.SetFaults("/x", Faults{}), "SetCredentials": s.SetCredentials("/x", "a", "b"), "Disconnect": s.Disconnect("/x"),
	} {
		if !errors.Is(err, errNoCamera) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := (&Server{Listen: "127.0.0.1:0", Cameras: map[string]Camera{"/x": {Clip: "loud"}}}).Start(); err == nil || !strings.Contains(err.Error(), "quiet") {
		t.Errorf("an unknown clip: %v, want a hint at the known ones", err)
	}
}

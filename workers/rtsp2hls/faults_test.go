package rtsp2hls

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/fakecam"
	"camfleet.dev/workers/media"
)

func (r *rig) faults(f fakecam.Faults) {
	r.t.Helper()
	if err := r.server.SetFaults(path, f); err != nil {
		r.t.Fatal(err)
	}
}

// sessions are the recorded sessions' first segments.
func sessions(all []archive.Located) []archive.Located {
	var firsts []archive.Located
	for i, e := range all {
		if i == 0 || all[i-1].Session != e.Session {
			firsts = append(firsts, e)
		}
	}
	return firsts
}

// gapCause is the cause noted at the beginning of the last session.
func gapCause(all []archive.Located) string {
	s := sessions(all)
	if len(s) == 0 || s[len(s)-1].Gap == nil {
		return ""
	}
	return s[len(s)-1].Gap.Cause
}

func TestPasswordWrongThenRight(t *testing.T) {
	t.Parallel()
	const right = "the right 0ne"
	r := newRig(t, fakecam.Camera{Username: testUser, Password: right})
	r.password(testPassword)
	r.record()
	s := r.state(archive.Unauthorized)
	if !strings.Contains(s.Message, "password") {
		t.Errorf("message %q does not say what to do", s.Message)
	}
	r.until("the camera to be left alone", func() bool { return r.metric("camfleet_camera_reconnects_total", "unauthorized") >= 1 })
	if n := r.server.Stats(path).Requests["DESCRIBE"]; n > 4 {
		t.Errorf("%d attempts with a wrong password: an account may be locked", n)
	}
	r.password(right)
	r.state(archive.Live)
	r.segments(1)
	r.judge()
	r.noSecrets(testPassword, right, "pl4nted", testUser+":")
}

func TestMissingSecret(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{Username: testUser, Password: testPassword})
	r.options.SecretDir = nil
	r.options.Config.Credentials = ""
	r.record()
	if s := r.state(archive.Unauthorized); !strings.Contains(s.Message, "give it credentials") {
		t.Errorf("message %q", s.Message)
	}
}

func TestNotFoundHeals(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{Faults: fakecam.Faults{NotFound: true}}).record()
	if s := r.state(archive.NotFound); !strings.Contains(s.Message, "404") {
		t.Errorf("message %q", s.Message)
	}
	r.faults(fakecam.Faults{})
	r.state(archive.Live)
}

func TestUnreachableHeals(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	r := newRig(t, fakecam.Camera{})
	url := r.options.Config.URL
	r.options.Config.URL = "rtsp://" + address + path
	r.record()
	if s := r.state(archive.Unreachable); !strings.Contains(s.Message, "refuses connections") {
		t.Errorf("message %q", s.Message)
	}
	cfg := r.options.Config
	cfg.URL = url
	r.camera.Update(cfg)
	r.state(archive.Live)
	if h := r.camera.Health(); h.Reason != "" {
		t.Errorf("health %+v", h)
	}
}

// TestRedirectElsewhere is the leak that the library has: it would log in at
// whatever host the camera names.
func TestRedirectElsewhere(t *testing.T) {
	t.Parallel()
	other := &fakecam.Server{Listen: "127.0.0.1:0", Any: true}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	r := newRig(t, fakecam.Camera{Username: testUser, Password: testPassword, Faults: fakecam.Faults{Redirect: other.URL("/trap")}})
	r.options.Timing.RetrySlow = 10 * time.Millisecond
	r.record()
	if s := r.state(archive.Unreachable); !strings.Contains(s.Message, "redirects to "+other.Addr()) {
		t.Errorf("message %q", s.Message)
	}
	r.until("more attempts", func() bool { return r.metric("camfleet_camera_reconnects_total", "refused") >= 3 })
	r.stop()
	if n := other.Total(); n.Connections != 0 || n.Authorized != 0 {
		t.Errorf("the other server was asked: %+v", n)
	}
	r.noSecrets(testPassword, "pl4nted")
}

func TestRedirectWithoutEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{})
	r.faults(fakecam.Faults{Redirect: r.server.URL(path)})
	r.options.Timing.RetrySlow = time.Hour
	r.record()
	if s := r.state(archive.Unreachable); !strings.Contains(s.Message, "again and again") {
		t.Errorf("message %q", s.Message)
	}
	if n := r.server.Stats(path).Requests["DESCRIBE"]; n > maxDials {
		t.Errorf("%d requests, want at most %d", n, maxDials)
	}
}

func TestRedirectOnTheSameHost(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{})
	r.server.Close()
	r.server = &fakecam.Server{Listen: "127.0.0.1:0", Cameras: map[string]fakecam.Camera{path: {}, "/moved": {}}}
	if err := r.server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.server.Close)
	r.faults(fakecam.Faults{Redirect: r.server.URL("/moved")})
	r.options.Config.URL = r.server.URL(path)
	r.record()
	r.state(archive.Live)
	if n := r.server.Stats("/moved").Readers; n != 1 {
		t.Errorf("%d readers of the new path", n)
	}
}

func TestStallReconnects(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{}).record()
	r.segments(1)
	r.faults(fakecam.Faults{Stall: true})
	if s := r.state(archive.Stale); !strings.Contains(s.Message, "no packets") {
		t.Errorf("message %q", s.Message)
	}
	r.until("a reconnect", func() bool { return r.metric("camfleet_camera_reconnects_total", "stalled") >= 1 })
	if h := r.camera.Health(); h.Reason != "" {
		t.Errorf("a camera that is away must not fail liveness: %+v", h)
	}
	n := len(r.entries())
	r.faults(fakecam.Faults{})
	r.state(archive.Live)
	r.segments(n + 1)
	if all := r.judge(); gapCause(all) != string(media.CauseStalled) {
		t.Errorf("gap cause %q", gapCause(all))
	}
	if r.metric("camfleet_camera_gap_seconds_total", "stalled") < 0.5 {
		t.Error("the gap was not counted")
	}
}

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{Faults: fakecam.Faults{HalfOpen: true}})
	r.options.Timing.Connect = 300 * time.Millisecond
	r.record()
	if s := r.state(archive.Unreachable); !strings.Contains(s.Message, "does not answer") {
		t.Errorf("message %q", s.Message)
	}
	r.faults(fakecam.Faults{})
	r.state(archive.Live)
	r.faults(fakecam.Faults{HalfOpen: true})
	r.state(archive.Stale)
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{}).record()
	r.segments(2)
	if err := r.server.Disconnect(path); err != nil {
		t.Fatal(err)
	}
	r.until("a second session", func() bool { return len(sessions(r.entries())) >= 2 })
	if all := r.judge(); gapCause(all) != string(media.CauseUnreachable) {
		t.Errorf("gap cause %q", gapCause(all))
	}
}

func TestNoKeyFrame(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{Faults: fakecam.Faults{NoIDR: true}})
	r.options.Timing.NoKey = 200 * time.Millisecond
	r.record()
	if s := r.state(archive.Stale); !strings.Contains(s.Message, "no key frame") {
		t.Errorf("message %q", s.Message)
	}
	r.faults(fakecam.Faults{})
	r.state(archive.Live)
	r.segments(1)
	r.judge()
}

func TestTimestampsJump(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fakecam.Camera{}).record()
			r.segments(2)
			r.faults(fakecam.Faults{Jump: jump})
			r.until("a second session", func() bool { return len(sessions(r.entries())) >= 2 })
			all := r.judge()
			if gapCause(all) != string(media.CauseStream) {
				t.Errorf("gap cause %q", gapCause(all))
			}
			if n := r.server.Total().Connections; n != 1 {
				t.Errorf("%d connections: a jump is no reason to connect again", n)
			}
		})
	}
}

func TestTimestampsWrap(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{Faults: fakecam.Faults{Jump: fakecam.WrapIn(2*time.Second, time.Now())}}).record()
	r.segments(4)
	if all := r.judge(); len(sessions(all)) != 1 {
		t.Errorf("%d sessions: the overflow of 32 bits is nothing", len(sessions(all)))
	}
}

func TestParameterChange(t *testing.T) {
	t.Parallel()
	for name, midGOP := range map[string]bool{"at a key frame": false, "between key frames": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fakecam.Camera{}).record()
			r.segments(2)
			r.faults(fakecam.Faults{Clip: fakecam.Motion, MidGOP: midGOP})
			r.until("the new size", func() bool {
				s, err := archive.ReadStatus(r.dir)
				return err == nil && s.Width == 480 && s.Height == 270
			})
			r.until("segments of the new size", func() bool {
				all := r.entries()
				return all[len(all)-1].Init != all[0].Init
			})
			all := r.judge()
			if n := len(sessions(all)); n != 1 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

func TestLossAndReordering(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fakecam.Camera{Faults: fakecam.Faults{Drop: 0.02, Reorder: 0.02, Seed: 7}})
			r.options.Config.Transport = transport
			r.record()
			r.segments(3)
			r.until("lost packets to be counted", func() bool { return r.metric("camfleet_camera_packets_lost_total", "") > 0 })
			r.stop()
			report, err := archive.Check(context.Background(), r.dir)
			if err != nil || report.Err() != nil {
				t.Errorf("archive: %v, %v", err, report.Err())
			}
			if n := len(sessions(r.entries())); n != 1 {
				t.Errorf("%d sessions: lost packets end none", n)
			}
		})
	}
}

func TestUDPInOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{Faults: fakecam.Faults{Reorder: 0.2, Seed: 3}})
	r.options.Config.Transport = "udp"
	r.record()
	r.segments(3)
	r.judge()
}

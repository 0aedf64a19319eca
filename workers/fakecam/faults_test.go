package fakecam

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/bluenviron/gortsplib/v5/pkg/ntp"
)

// fault switches a camera's faults.
func fault(t *testing.T, s *Server, f Faults) {
	t.Helper()
	if err := s.SetFaults("/a", f); err != nil {
		t.Fatal(err)
	}
}

// status is the code of a refusal.
func status(t *testing.T, err error) base.StatusCode {
	t.Helper()
	var bad liberrors.ErrClientBadStatusCode
	if !errors.As(err, &bad) {
		t.Fatalf("not refused by the server: %v", err)
	}
	return bad.Code
}

func TestDrop(t *testing.T) {
	t.Parallel()
	drops := func() (numbers []uint16) {
		s, clock, v := stepped(t, Camera{Faults: Faults{Drop: 0.3, Seed: 7}})
		for range 60 {
			clock.step(t, 0)
		}
		if lost := get(t, v.lost, "lost packet"); lost == 0 {
			t.Error("the client saw no loss")
		}
		clock.step(t, 0)
		st := s.Stats("/a")
		if share := float64(st.Dropped) / float64(st.Dropped+st.Packets); share < 0.15 || share > 0.45 {
			t.Errorf("%.2f of the packets were dropped, want 0.3", share)
		}
		for range 20 {
			numbers = append(numbers, get(t, v.packets, "packet").SequenceNumber)
		}
		return numbers
	}
	if a, b := drops(), drops(); !slices.Equal(a, b) {
		t.Errorf("the same seed dropped differently: %v, %v", a, b)
	}
}

func TestReorder(t *testing.T) {
	t.Parallel()
	_, clock, v := stepped(t, Camera{Clip: Motion, Faults: Faults{Reorder: 0.5, Seed: 7}})
	back := 0
	var last uint16
	for i := range 40 {
		clock.step(t, 0)
		if i < 5 {
			continue
		}
		n := get(t, v.packets, "packet").SequenceNumber
		if last != 0 && int16(n-last) < 0 {
			back++
		}
		last = n
	}
	if back == 0 {
		t.Error("no packet was overtaken")
	}
}

func TestStall(t *testing.T) {
	t.Parallel()
	s, clock, v := stepped(t, Camera{})
	clock.step(t, 0)
	before := v.frame(t)
	clock.step(t, 0) // the feed is past the last frame when it waits again
	between := v.frame(t)
	clock.step(t, 0)
	v.frame(t)
	fault(t, s, Faults{Stall: true})
	for range 50 {
		clock.step(t, 0)
	}
	frames := s.Stats("/a").Frames
	if _, err := dial(t, s.URL("/a"), gortsplib.ProtocolTCP); err != nil {
		t.Errorf("a stalled camera does not answer: %v", err)
	}
	if st := s.Stats("/a"); st.Open != 2 || st.Readers != 1 {
		t.Errorf("stalled: %+v, want the connections open", st)
	}
	fault(t, s, Faults{})
	clock.step(t, 0)
	clock.step(t, 0)
	after := v.frame(t)
	if frames > 4 || after.stamp-before.stamp < 48*3600 || between.last == after.first {
		t.Errorf("%d frames were sent, the next has timestamp %d after %d", frames, after.stamp, before.stamp)
	}
}

func TestUnauthorized(t *testing.T) {
	t.Parallel()
	s := start(t, &Server{Cameras: map[string]Camera{"/a": {Username: "admin", Password: "kumquat"}}})
	good, other := withUser(t, s.URL("/a"), "admin", "kumquat"), withUser(t, s.URL("/a"), "admin", "quince")
	v := play(t, good, gortsplib.ProtocolTCP)
	fault(t, s, Faults{Unauthorized: true})
	if _, err := dial(t, good, gortsplib.ProtocolTCP); status(t, err) != base.StatusUnauthorized {
		t.Errorf("a password that is wrong now: %v", err)
	}
	fault(t, s, Faults{})
	if err := s.SetCredentials("/a", "admin", "quince"); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, good, gortsplib.ProtocolTCP); status(t, err) != base.StatusUnauthorized {
		t.Errorf("the old password: %v", err)
	}
	if _, err := dial(t, other, gortsplib.ProtocolTCP); err != nil {
		t.Errorf("the new password: %v", err)
	}
	for range 5 {
		v.frame(t) // the session that played goes on
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	s := start(t, &Server{Cameras: map[string]Camera{"/a": {Faults: Faults{NotFound: true}}}})
	for _, path := range []string{"/a", "/b"} {
		if _, err := dial(t, s.URL(path), gortsplib.ProtocolTCP); status(t, err) != base.StatusNotFound {
			t.Errorf("%s: %v", path, err)
		}
	}
	fault(t, s, Faults{})
	if _, err := dial(t, s.URL("/a"), gortsplib.ProtocolTCP); err != nil {
		t.Errorf("healed: %v", err)
	}
}

// TestRedirect: the other host can tell whether a client gave it the password,
// as gortsplib's own does when nothing holds it back.
func TestRedirect(t *testing.T) {
	t.Parallel()
	thief := start(t, &Server{Any: true, Default: Camera{Username: "admin", Password: "?"}})
	s := start(t, &Server{Cameras: map[string]Camera{"/a": {Username: "admin", Password: "kumquat"}}})
	fault(t, s, Faults{Redirect: thief.URL("/thief")})
	if _, err := dial(t, s.URL("/a"), gortsplib.ProtocolTCP); err == nil {
		t.Error("connected without a password")
	}
	if total := thief.Total(); total.Connections != 1 || total.Authorized != 0 || total.Requests["DESCRIBE"] != 1 {
		t.Errorf("without a password: %+v", total)
	}
	if _, err := dial(t, withUser(t, s.URL("/a"), "admin", "kumquat"), gortsplib.ProtocolTCP); err == nil {
		t.Error("connected to the thief")
	}
	if total := thief.Total(); total.Authorized == 0 {
		t.Errorf("with a password: %+v, want it noticed", total)
	}
}

func TestParameterChange(t *testing.T) {
	t.Parallel()
	for _, midGOP := range []bool{false, true} {
		s, clock, v := stepped(t, Camera{Clip: Quiet})
		clock.step(t, 0)
		before := v.frame(t)
		clock.step(t, 0)
		fault(t, s, Faults{Clip: Motion, MidGOP: midGOP})
		var f frame
		for range 25 {
			clock.step(t, 0)
			if f = v.frame(t); f.sets {
				break
			}
		}
		if !f.sets || bytes.Equal(f.sps, before.sps) || f.idr == midGOP {
			t.Errorf("mid GOP %v: other parameters %v, key frame %v", midGOP, !bytes.Equal(f.sps, before.sps), f.idr)
		}
		again, err := dial(t, s.URL("/a"), gortsplib.ProtocolTCP)
		if err != nil {
			t.Fatal(err)
		}
		if sdp := again.desc.Medias[0].Formats[0].(*format.H264); !bytes.Equal(sdp.SPS, f.sps) {
			t.Error("the SDP has the old parameters")
		}
	}
}

func TestNoIDR(t *testing.T) {
	t.Parallel()
	_, clock, v := stepped(t, Camera{Faults: Faults{NoIDR: true}})
	var last uint16
	for i := range 30 {
		if clock.step(t, 0); i%10 == 0 {
			continue
		}
		f := v.frame(t)
		if f.idr || f.sets {
			t.Fatal("a key frame came")
		}
		if last != 0 && f.first != last+1 {
			t.Fatalf("packet %d after %d: a gap", f.first, last)
		}
		last = f.last
	}
}

func TestBFramesGoBack(t *testing.T) {
	t.Parallel()
	_, clock, v := stepped(t, Camera{Clip: BFrames})
	back := 0
	var last uint32
	for range 250 { // beyond the loop's end
		clock.step(t, 0)
		f := v.frame(t)
		if d := int32(f.stamp - last); last != 0 && d < 0 {
			back++
		} else if last != 0 && (d == 0 || d > 5*3600) {
			t.Fatalf("timestamp %d after %d", f.stamp, last)
		}
		last = f.stamp
	}
	if back < 100 {
		t.Errorf("%d of 250 frames have an earlier timestamp than the one before, want most", back)
	}
}

func TestJump(t *testing.T) {
	t.Parallel()
	s, clock, v := stepped(t, Camera{})
	clock.step(t, 0)
	before := v.frame(t)
	for _, jump := range []time.Duration{time.Hour, -time.Hour, WrapIn(2*time.Second, noon)} {
		clock.step(t, 0) // the frame of before is over
		now := v.frame(t)
		fault(t, s, Faults{Jump: jump})
		clock.step(t, 0)
		clock.step(t, 0)
		v.frame(t)
		got := v.frame(t)
		if want := now.stamp + uint32(int64(jump.Seconds()*90000)) + 2*3600; int32(got.stamp-want) > 1 || int32(got.stamp-want) < -1 {
			t.Errorf("jump %v: timestamp %d, want %d", jump, got.stamp, want)
		}
		fault(t, s, Faults{})
		clock.step(t, 0)
		v.frame(t)
	}
	wrap := before.stamp + uint32(int64(WrapIn(2*time.Second, noon).Seconds()*90000)) + 2*90000
	if int32(wrap) > 3600 || int32(wrap) < -3600 {
		t.Errorf("2 s later the timestamp is %d, want 0: it overflows", wrap)
	}
}

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	s := start(t, &Server{Cameras: map[string]Camera{"/a": {Faults: Faults{HalfOpen: true}}}})
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "OPTIONS "+s.URL("/a")+" RTSP/1.0\r\nCSeq: 1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the request to arrive", func() bool { return s.Stats("/a").Requests["OPTIONS"] == 1 })
	buf := make([]byte, 100)
	if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("answered %q, %v", buf[:n], err)
	}
	fault(t, s, Faults{})
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(buf); err != nil || !strings.Contains(string(buf[:n]), "200 OK") {
		t.Errorf("healed: answered %q, %v", buf[:n], err)
	}
}

// TestHalfOpenWhilePlaying: nothing is sent any more, and Close does not wait for the hanging.
func TestHalfOpenWhilePlaying(t *testing.T) {
	t.Parallel()
	s, clock, v := stepped(t, Camera{})
	clock.step(t, 0)
	v.frame(t)
	clock.step(t, 0)
	v.frame(t)
	fault(t, s, Faults{HalfOpen: true})
	for range 30 {
		clock.step(t, 0)
	}
	if n := s.Stats("/a").Frames; n > 3 {
		t.Errorf("%d frames were sent by a camera that hangs", n)
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	s := start(t, &Server{Cameras: map[string]Camera{"/a": {}}})
	tcp, udp := play(t, s.URL("/a"), gortsplib.ProtocolTCP), play(t, s.URL("/a"), gortsplib.ProtocolUDP)
	tcp.frame(t)
	udp.frame(t)
	if err := s.Disconnect("/a"); err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]*viewer{"tcp": tcp, "udp": udp} {
		ended := make(chan error, 1)
		go func() { ended <- v.Wait() }()
		if err := get(t, ended, "end of "+name); err == nil {
			t.Errorf("%s: ended without an error", name)
		}
	}
	waitFor(t, "all to be gone", func() bool { st := s.Stats("/a"); return st.Open == 0 && st.Readers == 0 })
	play(t, s.URL("/a"), gortsplib.ProtocolTCP).frame(t) // it takes new ones
}

func TestReports(t *testing.T) {
	t.Parallel()
	s, clock, v := stepped(t, Camera{Faults: Faults{Skew: time.Hour}})
	clock.step(t, 0)
	clock.step(t, 0)
	sr := get(t, v.reports, "sender report")
	if at := ntp.Decode(sr.NTPTime); at.Sub(noon.Add(time.Hour)).Abs() > time.Millisecond || sr.RTPTime != uint32(noon.UnixMilli()*90) {
		t.Errorf("the report says %v for timestamp %d", at, sr.RTPTime)
	}
	fault(t, s, Faults{NoReports: true})
	for range 60 {
		clock.step(t, 0)
		v.frame(t)
	}
	if n := len(v.reports); n > 1 {
		t.Errorf("%d reports came though they are off", n)
	}
}

func TestParametersInOnePlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		faults      Faults
		sdp, stream bool
	}{{Faults{}, true, true}, {Faults{SDPOnly: true}, true, false}, {Faults{StreamOnly: true}, false, true}} {
		_, clock, v := stepped(t, Camera{Faults: c.faults})
		clock.step(t, 0)
		f := v.frame(t)
		sdp := v.desc.Medias[0].Formats[0].(*format.H264).SPS != nil
		if !f.idr || sdp != c.sdp || f.sets != c.stream {
			t.Errorf("%+v: key frame %v, in the SDP %v, in the stream %v", c.faults, f.idr, sdp, f.sets)
		}
	}
}

func TestPCMU(t *testing.T) {
	t.Parallel()
	s := start(t, &Server{Cameras: map[string]Camera{"/a": {PCMU: true}}})
	v := play(t, s.URL("/a"), gortsplib.ProtocolTCP)
	v.frame(t)
	if p := get(t, v.audio, "audio packet"); p.PayloadType != 0 || len(p.Payload) != 160 {
		t.Errorf("type %d, %d bytes", p.PayloadType, len(p.Payload))
	}
}

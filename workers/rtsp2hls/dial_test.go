package rtsp2hls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"camfleet.dev/workers/archive"
)

func TestAddressesThatNoCameraHas(t *testing.T) {
	t.Parallel()
	for address, ok := range map[string]bool{
		"192.168.1.20": true, "10.0.0.1": true, "203.0.113.9": true, "127.0.0.1": true, "::1": true, "2001:db8::1": true, "fd12::1": true,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "fe80::1": false, "0.0.0.0": false, "::": false,
		"224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "fd00:ec2::254": false, "100.100.100.200": false,
	} {
		if err := checkAddress(netip.MustParseAddr(address)); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// guarded is a guard whose network is the test's.
func guarded(addrs ...string) (*guard, *[]string) {
	var dialled []string
	g := &guard{
		allowed: "camera.example:554", wrap: func(c net.Conn) net.Conn { return c },
		resolve: func(context.Context, string) ([]netip.Addr, error) {
			var all []netip.Addr
			for _, a := range addrs {
				all = append(all, netip.MustParseAddr(a))
			}
			return all, nil
		},
		dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			c, _ := net.Pipe()
			return c, nil
		},
	}
	return g, &dialled
}

func TestGuard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, address string
		resolved      []string
		dials         int
		want          string // dialled
		err           error
	}{
		{"as declared", "camera.example:554", []string{"192.0.2.7"}, 1, "192.0.2.7:554", nil},
		{"another host", "evil.example:554", []string{"192.0.2.7"}, 1, "", errRedirect},
		{"another port", "camera.example:8554", []string{"192.0.2.7"}, 1, "", errRedirect},
		{"metadata behind a name", "camera.example:554", []string{"169.254.169.254"}, 1, "", errForbidden},
		{"one good address of two", "camera.example:554", []string{"fe80::1", "192.0.2.8"}, 1, "192.0.2.8:554", nil},
		{"mapped", "camera.example:554", []string{"::ffff:192.0.2.9"}, 1, "192.0.2.9:554", nil},
		{"too often", "camera.example:554", []string{"192.0.2.7"}, maxDials + 1, "192.0.2.7:554", errTooManyAsk},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g, dialled := guarded(c.resolved...)
			var err error
			for range c.dials {
				_, err = g.DialContext(t.Context(), "tcp", c.address)
			}
			if !errors.Is(err, c.err) || c.err != nil && g.lastRefusal() == nil {
				t.Errorf("error %v, want %v", err, c.err)
			}
			if got := strings.Join(*dialled, " "); c.want != "" && !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("dialled %q, want %q", got, c.want)
			}
		})
	}
}

func TestUDPOnlyToTheCamera(t *testing.T) {
	t.Parallel()
	victim, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	g, _ := guarded()
	g.camera = netip.MustParseAddr("192.0.2.1")
	conn, err := g.listenUDP("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n, err := conn.WriteTo([]byte("xy"), victim.LocalAddr()); n != 2 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	g.mutex.Lock()
	g.camera = netip.MustParseAddr("127.0.0.1")
	g.mutex.Unlock()
	if _, err := conn.WriteTo([]byte("ok"), victim.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if err := victim.SetReadDeadline(time.Now().Add(deadline)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := victim.ReadFrom(buf); err != nil || string(buf[:n]) != "ok" {
		t.Errorf("the first packet that arrives is %q, %v", buf[:n], err)
	}
	if _, err := noResolve("ip", "evil.example"); err == nil {
		t.Error("another host as source was resolved")
	}
}

func TestPacedConnReadsEverything(t *testing.T) {
	t.Parallel()
	ours, theirs := net.Pipe()
	c := newPacedConn(ours, func() time.Duration { return time.Millisecond })
	want := strings.Repeat("0123456789", 20000)
	go func() {
		for i := 0; i < len(want); i += 1000 {
			if _, err := theirs.Write([]byte(want[i : i+1000])); err != nil {
				return
			}
		}
		theirs.Close()
	}()
	var got strings.Builder
	buf := make([]byte, 300)
	for {
		n, err := c.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			break
		}
	}
	if got.String() != want {
		t.Errorf("%d bytes of %d arrived", got.Len(), len(want))
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	status := func(code base.StatusCode) error { return liberrors.ErrClientBadStatusCode{Code: code, Message: "x"} }
	for _, c := range []struct {
		err   error
		state archive.State
		slow  bool
		say   string
	}{
		{status(401), archive.Unauthorized, true, "refuses the user name or password"},
		{status(403), archive.Unauthorized, true, ""},
		{status(404), archive.NotFound, true, "404"},
		{status(461), archive.Unsupported, true, "other one, tcp or udp"},
		{status(503), archive.Unreachable, false, "503"},
		{liberrors.ErrClientTCPTimeout{}, archive.Stale, false, "no packets"},
		{liberrors.ErrClientRequestTimedOut{}, archive.Unreachable, false, "does not answer"},
		{&net.DNSError{Err: "no such host", Name: "x"}, archive.Unreachable, false, "cannot be resolved"},
		{syscall.ECONNREFUSED, archive.Unreachable, false, "port"},
		{context.DeadlineExceeded, archive.Unreachable, false, "switched on"},
		{errNoVideo, archive.Unsupported, true, "H.264"},
		{liberrors.ErrClientSDPInvalid{Err: errors.New("y")}, archive.Unsupported, true, ""},
		{errForbidden, archive.Unreachable, true, ""},
	} {
		f := classify(fmt.Errorf("describe: %w", c.err), true, scrubber(credentials{}))
		if f.state != c.state || f.slow != c.slow || !strings.Contains(f.message, c.say) || f.cause == "" || f.reason == "" {
			t.Errorf("%v: %+v", c.err, f)
		}
	}
	if f := classify(status(401), false, scrubber(credentials{})); !strings.Contains(f.message, "give it credentials") {
		t.Errorf("without credentials: %q", f.message)
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	c := credentials{"op", "p@ss/w rd?"}
	for _, text := range []string{
		"dial rtsp://op:p%40ss%2Fw%20rd%3F@host/x: refused", "login p@ss/w rd? refused", "rtsp://a:b@host/x and rtsp://c@host/y",
		fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s", c, c, c, &c), "q=" + "p%40ss%2Fw+rd%3F",
	} {
		got := scrubber(c)(text)
		for _, secret := range []string{"p@ss", "p%40ss", "a:b@", "c@host"} {
			if strings.Contains(got, secret) {
				t.Errorf("%q still says %q", got, secret)
			}
		}
	}
	if got := scrubber(credentials{})("rtsp://host/x stays"); got != "rtsp://host/x stays" {
		t.Errorf("%q", got)
	}
}

func TestBasicIsWarnedAbout(t *testing.T) {
	t.Parallel()
	log := &logbook{}
	for scheme, want := range map[string]bool{"rtsp": true, "rtsps": false} {
		u, err := parseURL(scheme + "://192.0.2.1/x")
		if err != nil {
			t.Fatal(err)
		}
		s := &session{c: &Camera{log: slog.New(slog.NewTextHandler(log, nil))}}
		for _, value := range []string{"", "Digest x", "Basic b3A6cA=="} {
			s.onRequest(&base.Request{URL: u, Header: base.Header{"Authorization": {value}}})
		}
		if s.basic.Load() != want || strings.Contains(s.note(), "unencrypted") != want {
			t.Errorf("%s: warned %v", scheme, s.basic.Load())
		}
	}
	if strings.Contains(log.String(), "b3A6cA") {
		t.Error("the log holds the header")
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"rtsp://cam/x": "cam:554", "rtsps://cam:322/x": "cam:322", "rtsps://cam/": "cam:322", "rtsp://[2001:db8::1]:8554/a?b=c": "[2001:db8::1]:8554",
		"http://cam/x": "", "rtsp:///x": "", "rtsp://u:p@cam/x": "", "rtsp://u@cam/x": "", "": "", "rtsp://cam:port/": "", "cam/x": "",
	} {
		u, err := parseURL(in)
		if (err == nil) != (want != "") || err == nil && hostPort(u) != want {
			t.Errorf("%q: %v, %v", in, u, err)
		}
		if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: the error repeats the password: %v", in, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"rtsp://cam/x", "rtsps://[::1]:1/", "rtsp://u:p@h/", "rtsp://%41/", "://"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		u, err := parseURL(in)
		if err != nil {
			return
		}
		if _, _, err := net.SplitHostPort(hostPort(u)); err != nil || u.User != nil {
			t.Errorf("%q: %q, %v", in, hostPort(u), err)
		}
	})
}

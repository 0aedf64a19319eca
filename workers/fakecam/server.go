package fakecam

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
)

// maxAny bounds the cameras that requests to a Server with Any can make.
const maxAny = 1000

// Server is an RTSP server of simulated cameras. Fill in the fields, Start, Close.
type Server struct {
	// Listen is host:port; port 0 takes a free one. Only a loopback host, unless AllowRemote.
	Listen      string
	AllowRemote bool
	// Cameras are known by the path of their URL, such as "/gate/north". A query
	// belongs to the path: "/gate/north?channel=2" is another camera.
	Cameras map[string]Camera
	// Any serves every other path too, with the clip that the path's hash gives
	// or the query names, and the faults in the query: "?clip=motion&drop=0.1".
	Any bool
	// Default is what a camera of Any is otherwise like.
	Default Camera
	// Clips are clips by name, besides the built-in ones.
	Clips map[string]*Clip
	// TLS makes it an RTSPS server.
	TLS *tls.Config
	// Clock defaults to the wall clock.
	Clock Clock
	// Log defaults to none.
	Log *slog.Logger

	rtsp   *gortsplib.Server
	ctx    context.Context
	cancel context.CancelFunc
	feeds  sync.WaitGroup

	mu      sync.Mutex
	cameras map[string]*camera
	loaded  map[string]*Clip // built-in clips in use
	stats   Stats
}

// Start opens the ports; cameras answer from then on.
func (s *Server) Start() error {
	if s.Clock == nil {
		s.Clock = wallClock{}
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	host, err := s.host()
	if err != nil {
		return err
	}
	s.cameras, s.loaded = map[string]*camera{}, map[string]*Clip{}
	for path, config := range s.Cameras {
		if _, err := s.add(path, config); err != nil {
			return fmt.Errorf("camera %s: %w", path, err)
		}
	}
	ports, err := openPair(host)
	if err != nil {
		return err
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.rtsp = &gortsplib.Server{
		Handler:                  (*handler)(s),
		RTSPAddress:              s.Listen,
		UDPRTPAddress:            ports.rtpAddr(),
		UDPRTCPAddress:           ports.rtcpAddr(),
		ListenPacket:             ports.listen,
		TLSConfig:                s.TLS,
		AuthMethods:              []auth.VerifyMethod{auth.VerifyMethodDigestMD5},
		WriteQueueSize:           1024,
		DisableRTCPSenderReports: true, // the feed sends them, as Faults say
	}
	if err := s.rtsp.Start(); err != nil {
		s.cancel()
		ports.close()
		return fmt.Errorf("listening on %s: %w", s.Listen, err)
	}
	return nil
}

// host checks whom the server can be reached by.
func (s *Server) host() (string, error) {
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return "", fmt.Errorf("the address to listen on, %q, is not host:port: %w", s.Listen, err)
	}
	ip := net.ParseIP(host)
	if !s.AllowRemote && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", fmt.Errorf("refusing to listen on %q: simulated cameras are for this machine only; use 127.0.0.1, or allow remote access explicitly", s.Listen)
	}
	return host, nil
}

// Close ends every connection and waits until nothing runs any more.
func (s *Server) Close() {
	s.cancel()     // feeds end, and what hangs goes on
	s.rtsp.Close() // nobody plays from here on
	s.feeds.Wait()
}

// Addr is the address the server listens on, host:port.
func (s *Server) Addr() string { return s.rtsp.NetListener().Addr().String() }

// URL is a camera's, without credentials; path may have a query.
func (s *Server) URL(path string) string {
	scheme := "rtsp"
	if s.TLS != nil {
		scheme = "rtsps"
	}
	return scheme + "://" + s.Addr() + path
}

// errNoCamera is for a path that no camera has.
var errNoCamera = errors.New("no camera has this path")

// SetFaults replaces what is wrong with a camera, at once also for those who
// play it. Faults{} heals it.
func (s *Server) SetFaults(path string, f Faults) error {
	c := s.lookup(path)
	if c == nil {
		return fmt.Errorf("setting faults of %s: %w", path, errNoCamera)
	}
	if err := c.setFaults(f); err != nil {
		return fmt.Errorf("setting faults of %s: %w", path, err)
	}
	return nil
}

// SetCredentials changes a camera's user name and password; sessions that play go on.
func (s *Server) SetCredentials(path, username, password string) error {
	c := s.lookup(path)
	if c == nil {
		return fmt.Errorf("changing the password of %s: %w", path, errNoCamera)
	}
	c.setCredentials(username, password)
	return nil
}

// Disconnect closes every connection to a camera, as its restart would.
func (s *Server) Disconnect(path string) error {
	c := s.lookup(path)
	if c == nil {
		return fmt.Errorf("disconnecting %s: %w", path, errNoCamera)
	}
	c.disconnect()
	return nil
}

// lookup finds a camera; with Any it makes one. nil: there is none.
func (s *Server) lookup(path string) *camera {
	s.mu.Lock()
	c, n := s.cameras[path], len(s.cameras)
	s.mu.Unlock()
	if c != nil || !s.Any || n >= maxAny+len(s.Cameras) {
		return c
	}
	config, err := s.anyCamera(path)
	if err == nil {
		c, err = s.add(path, config)
	}
	if err != nil {
		s.Log.Warn("this path cannot be served", "path", path, "error", err)
		return nil
	}
	return c
}

// add makes a camera, or returns the one that was there first.
func (s *Server) add(path string, config Camera) (*camera, error) {
	c, err := newCamera(s, path, config)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.cameras[path]; first != nil {
		return first, nil
	}
	s.cameras[path] = c
	return c, nil
}

// clip finds a clip by name.
func (s *Server) clip(name string) (*Clip, error) {
	if c := s.Clips[name]; c != nil {
		return c, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.loaded[name]; c != nil {
		return c, nil
	}
	c, err := OpenClip(name)
	if err == nil {
		s.loaded[name] = c
	}
	return c, err
}

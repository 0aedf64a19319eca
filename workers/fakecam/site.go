package fakecam

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
)

// Source is a camera of a fleet that is to be simulated.
type Source struct {
	Site, Name string
	// URL is the camera's in its CUE, without credentials. On a loopback host it
	// may name a clip and faults: rtsp://127.0.0.1:18554/gate/north?clip=motion&drop=0.01
	URL                string
	Username, Password string
}

// Set is the cameras of a site or a fleet, simulated: Start, Close.
type Set struct {
	// Servers are all of them, by the address they listen on.
	Servers map[string]*Server
	// LeftOut are the sources that cannot be reached here: not on a loopback
	// host, and no address was given for such.
	LeftOut []Source

	where map[string]place
	order []string
}

type place struct {
	server *Server
	path   string
}

// NewSet makes servers for a fleet's cameras. Those with a URL on a loopback
// host are served at that URL; the others by one server on listen (host:port,
// empty: not at all) at /<site>/<camera>.
func NewSet(listen string, sources []Source, log *slog.Logger) (*Set, error) {
	set := &Set{Servers: map[string]*Server{}, where: map[string]place{}}
	var problems []error
	for _, src := range sources {
		if err := set.add(listen, src, log); err != nil {
			problems = append(problems, fmt.Errorf("camera %s/%s: %w", src.Site, src.Name, err))
		}
	}
	return set, errors.Join(problems...)
}

func (s *Set) add(listen string, src Source, log *slog.Logger) error {
	u, err := url.Parse(src.URL)
	if err != nil {
		return errors.New("its URL cannot be read") // url.Error quotes it, password and all
	}
	config := Camera{Username: src.Username, Password: src.Password}
	addr, path := listen, "/"+src.Site+"/"+src.Name
	if loopback(u.Hostname()) {
		if u.Scheme != "rtsp" {
			return fmt.Errorf("%s:// is not simulated: use rtsp:// on this machine", u.Scheme)
		}
		if addr, path, err = localPlace(u); err != nil {
			return err
		}
		if config.Faults, config.Clip, err = fromQuery(u.RawQuery); err != nil {
			return err
		}
	} else if listen == "" {
		s.LeftOut = append(s.LeftOut, src)
		return nil
	}
	if config.Clip == "" {
		config.Clip = [...]string{Quiet, Motion}[hash(src.Site+"/"+src.Name)%2]
	}
	server := s.Servers[addr]
	if server == nil {
		server = &Server{Listen: addr, Cameras: map[string]Camera{}, Log: log}
		s.Servers[addr] = server
		s.order = append(s.order, addr)
	}
	if other, ok := server.Cameras[path]; ok && other != config {
		return errors.New("another camera has the same URL and other credentials")
	}
	server.Cameras[path] = config
	s.where[src.Site+"/"+src.Name] = place{server, path}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// localPlace is the address and the path that a URL on this machine asks for.
func localPlace(u *url.URL) (addr, path string, err error) {
	host, port := u.Hostname(), u.Port()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if port == "" {
		port = "554"
	}
	if port == "0" {
		return "", "", errors.New("its port is 0: give a real one, it is what the recorder connects to")
	}
	path = u.Path
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return net.JoinHostPort(host, port), path, nil
}

// Start starts every server, or none.
func (s *Set) Start() error {
	for i, addr := range s.order {
		if err := s.Servers[addr].Start(); err != nil {
			for _, started := range slices.Backward(s.order[:i]) {
				s.Servers[started].Close()
			}
			return err
		}
	}
	return nil
}

// Close stops every server that Start has started.
func (s *Set) Close() {
	for _, addr := range slices.Backward(s.order) {
		s.Servers[addr].Close()
	}
}

// URL is where a camera is served, without credentials; empty when it is left out.
func (s *Set) URL(site, camera string) string {
	p, ok := s.where[site+"/"+camera]
	if !ok {
		return ""
	}
	return p.server.URL(p.path)
}

// Camera returns the server of a camera and its path there, for SetFaults,
// Disconnect, Stats; nil when it is left out.
func (s *Set) Camera(site, camera string) (server *Server, path string) {
	p := s.where[site+"/"+camera]
	return p.server, p.path
}

package rtsp2hls

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// maxDials is how many connections one session may open: the first, and one
// for each of two redirects on the same host.
const maxDials = 3

// guard opens a session's connections. The RTSP library follows a redirect to
// any host and sends the password there; the guard lets it connect to nothing
// but the host and port that the configuration names, at an address that a
// camera can have, and not without end.
type guard struct {
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	allowed string // host:port
	wrap    func(net.Conn) net.Conn

	// datagrams is how many arrived over UDP, before the library put them in order.
	datagrams atomic.Uint64

	mutex  sync.Mutex
	dials  int
	camera netip.Addr // that answered
	// refused is the last refusal: the library wraps some errors so that
	// they are not to be recognised.
	refused error
}

// DialContext implements the library's hook.
func (g *guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := g.open(ctx, network, address)
	if err != nil {
		if errors.Is(err, errRedirect) || errors.Is(err, errTooManyAsk) || errors.Is(err, errForbidden) {
			g.mutex.Lock()
			g.refused = err
			g.mutex.Unlock()
		}
		return nil, err
	}
	return g.wrap(conn), nil
}

func (g *guard) open(ctx context.Context, network, address string) (net.Conn, error) {
	if address != g.allowed {
		return nil, fmt.Errorf("%w to %s, and camfleet does not send it the password; if that is the camera's right address, write it into its URL", errRedirect, address)
	}
	g.mutex.Lock()
	g.dials++
	tooMany := g.dials > maxDials
	g.mutex.Unlock()
	if tooMany {
		return nil, fmt.Errorf("%w, %d times", errTooManyAsk, maxDials)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("read the camera's address: %w", err)
	}
	addrs, err := g.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range addrs {
		conn, err := g.dial(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			g.mutex.Lock()
			g.camera = a
			g.mutex.Unlock()
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// addresses are those of host that a camera can have.
func (g *guard) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, checkAddress(a)
	}
	all, err := g.resolve(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", host, err)
	}
	var allowed []netip.Addr
	var refused error
	for _, a := range all {
		if err := checkAddress(a); err != nil {
			refused = fmt.Errorf("%s: %w", host, err)
			continue
		}
		allowed = append(allowed, a.Unmap())
	}
	if len(allowed) == 0 && refused == nil {
		refused = fmt.Errorf("%s has no address", host)
	}
	if len(allowed) == 0 {
		return nil, refused
	}
	return allowed, nil
}

// lastRefusal is why the guard refused a connection, if it did.
func (g *guard) lastRefusal() error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.refused
}

// checkAddress refuses addresses that no camera has, among them those at which
// clouds answer with a machine's secrets. Loopback is allowed: a restreamer
// on the same machine is a camera, and so is the demo's.
func checkAddress(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	switch {
	case a.IsLinkLocalUnicast():
		return fmt.Errorf("%w: %s is a link-local or metadata address", errForbidden, a)
	case a.IsUnspecified(), a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return fmt.Errorf("%w: %s is no address of one camera", errForbidden, a)
	case a == awsMetadata, a == alibabaMetadata:
		return fmt.Errorf("%w: %s is a metadata address", errForbidden, a)
	}
	return nil
}

var (
	awsMetadata     = netip.MustParseAddr("fd00:ec2::254")
	alibabaMetadata = netip.MustParseAddr("100.100.100.200")
)

// udpBuffer is what a UDP socket is asked to hold: four seconds of 4 Mbit/s.
const udpBuffer = 2 << 20

// listenUDP implements the library's hook: a socket with a large buffer that
// sends to nobody but the camera, whatever "source" its answers name.
func (g *guard) listenUDP(network, address string) (net.PacketConn, error) {
	conn, err := net.ListenPacket(network, address)
	if err != nil {
		return nil, err
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("no UDP socket on %s", network), conn.Close())
	}
	// The kernel may allow less: then lost packets tell, as the metrics show.
	if err := udp.SetReadBuffer(udpBuffer); err != nil {
		return nil, errors.Join(fmt.Errorf("enlarge the UDP buffer: %w", err), conn.Close())
	}
	local, ok := udp.LocalAddr().(*net.UDPAddr)
	return &udpConn{UDPConn: udp, guard: g, rtp: ok && local.Port%2 == 0}, nil
}

type udpConn struct {
	*net.UDPConn
	guard *guard
	rtp   bool
}

// ReadFrom counts what arrives on the RTP port, which is the even one of the two.
func (c *udpConn) ReadFrom(b []byte) (int, net.Addr, error) {
	n, addr, err := c.UDPConn.ReadFrom(b)
	if err == nil && c.rtp {
		c.guard.datagrams.Add(1)
	}
	return n, addr, err
}

// WriteTo drops what would go to somebody else than the camera.
func (c *udpConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	to, ok := addr.(*net.UDPAddr)
	c.guard.mutex.Lock()
	camera := c.guard.camera
	c.guard.mutex.Unlock()
	if ok && to.AddrPort().Addr().Unmap().WithZone("") != camera.WithZone("") {
		return len(b), nil
	}
	return c.UDPConn.WriteTo(b, addr)
}

// noResolve implements the library's hook for "source" host names in answers.
func noResolve(_, address string) (*net.IPAddr, error) {
	return nil, fmt.Errorf("the camera names another host, %s, as its source", address)
}

package fakecam

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// udpPair is a pair of neighbouring UDP ports, the even one first (RFC 3550
// §11), that are already open: finding free ones and opening them later would
// race with everybody else on the machine.
type udpPair struct {
	rtp, rtcp net.PacketConn

	mu    sync.Mutex
	taken map[string]bool
}

// openPair opens two free ports on a host.
func openPair(host string) (*udpPair, error) {
	var failed error
	for range 50 {
		first, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, fmt.Errorf("opening a UDP port: %w", err)
		}
		port := first.LocalAddr().(*net.UDPAddr).Port
		second, err := net.ListenPacket("udp", net.JoinHostPort(host, fmt.Sprint(port^1)))
		if err != nil {
			first.Close()
			failed = err
			continue
		}
		p := &udpPair{rtp: first, rtcp: second, taken: map[string]bool{}}
		if port%2 == 1 {
			p.rtp, p.rtcp = second, first
		}
		return p, nil
	}
	return nil, fmt.Errorf("finding two free UDP ports next to each other: %w", failed)
}

func (p *udpPair) rtpAddr() string  { return p.rtp.LocalAddr().String() }
func (p *udpPair) rtcpAddr() string { return p.rtcp.LocalAddr().String() }

// listen hands out the open ports, once each; it is gortsplib's ListenPacket.
func (p *udpPair) listen(_, address string) (net.PacketConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range []net.PacketConn{p.rtp, p.rtcp} {
		if conn.LocalAddr().String() == address && !p.taken[address] {
			p.taken[address] = true
			return conn, nil
		}
	}
	return nil, errors.New("this UDP port is not the server's: " + address)
}

func (p *udpPair) close() {
	p.rtp.Close()
	p.rtcp.Close()
}

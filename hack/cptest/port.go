package cptest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below the range that Linux gives to outgoing connections
// (32768 and up), because a component that is stopped and started again must find
// its port free: a port from ":0" may be some client's by then.
const (
	firstPort = 20000
	lastPort  = 32000
	tries     = 200
)

// reserve returns a free port of the address. Until the closer is closed, or this
// process ends, no other test gets it: a name in the abstract socket namespace is
// held for it.
func reserve(address string) (int, io.Closer, error) {
	for range tries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		name, err := net.Listen("unix", "@camfleet-cptest-"+strconv.Itoa(port))
		if err != nil {
			continue // another test's
		}
		l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err != nil {
			name.Close()
			continue
		}
		if err := l.Close(); err != nil {
			return 0, nil, errors.Join(fmt.Errorf("trying port %d: %w", port, err), name.Close())
		}
		return port, name, nil
	}
	return 0, nil, fmt.Errorf("no free port of %s found in %d tries", address, tries)
}

package control

import (
	"time"

	"golang.org/x/sys/unix"
)

// uptime is a clock that nobody sets, and that goes on while the machine
// sleeps. Go's own monotonic time stops then: a lease would look younger than it is.
func uptime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return time.Since(started)
	}
	return time.Duration(t.Nano())
}

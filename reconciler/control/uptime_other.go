//go:build !linux

package control

import "time"

// uptime is Go's monotonic time: nobody sets it, but it may stand still while
// the machine sleeps. Reconcilers run on Linux.
func uptime() time.Duration { return time.Since(started) }

package control

import "time"

// started is what monotonic time counts from, where the system has no better clock.
var started = time.Now()

package cluster

import (
	"log/slog"

	"k8s.io/klog/v2"
)

// LogTo sends what client-go logs, and the warnings that API servers answer
// with, to log; without it, they go to standard error in a form of their own.
// It is for the whole process: call it once, before the first client is made.
func LogTo(log *slog.Logger) { klog.SetSlogLogger(log.With("from", "client-go")) }

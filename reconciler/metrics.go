package reconciler

import (
	"time"

	"camfleet.dev/reconciler/engine"
)

type metrics struct{}

func newMetrics() *metrics                                                { return &metrics{} }
func (m *metrics) fetched(error)                                          {}
func (m *metrics) compiled(time.Duration, error)                          {}
func (m *metrics) listFailed()                                            {}
func (m *metrics) synced(time.Time, engine.ChangeSet, time.Duration, int) {}

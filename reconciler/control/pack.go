package control

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
	"camfleet.dev/workers/archive"
)

// maxPacked is how big a packed status may be: a ConfigMap holds 1 MiB in all.
// maxUnpacked bounds what is read of one.
const (
	maxPacked   = 900_000
	maxUnpacked = 64 << 20
	maxSummary  = 50_000
)

// page is what a status becomes in a ConfigMap.
type page struct {
	status              []byte // gzip of JSON
	conditions, summary string
}

// pack makes a status fit into a ConfigMap. What is left out is said.
func pack(s status.Status) (page, error) { return packInto(s, maxPacked) }

func packInto(s status.Status, limit int) (page, error) {
	s.Fetched = time.Time{} // it would be old at once; the condition Fetched says what matters
	conditions, err := json.MarshalIndent(s.Conditions, "", "  ")
	if err != nil {
		return page{}, fmt.Errorf("encoding the conditions: %w", err)
	}
	p := page{conditions: string(conditions), summary: clip(summary(s), maxSummary)}
	for _, cut := range append([]func(*status.Status) string{nil}, cuts()...) {
		if cut != nil {
			if what := cut(&s); what != "" {
				s.Warnings = append(slices.Clip(s.Warnings), "this status is too big to be shown whole: "+what)
			}
		}
		if p.status, err = packed(s); err != nil || len(p.status) <= limit {
			return p, err
		}
	}
	return page{}, fmt.Errorf("the status has %d bytes, and %d are allowed", len(p.status), limit)
}

func packed(s status.Status) ([]byte, error) {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	err := errors.Join(json.NewEncoder(w).Encode(s), w.Close())
	if err != nil {
		return nil, fmt.Errorf("packing the status: %w", err)
	}
	return buf.Bytes(), nil
}

// unpack reads a packed status.
func unpack(data []byte) (status.Status, error) {
	var s status.Status
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return s, fmt.Errorf("unpacking the status: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(r, maxUnpacked)).Decode(&s); err != nil {
		return s, fmt.Errorf("unpacking the status: %w", err)
	}
	return s, nil
}

// cuts leave out more and more, and say what: first what is told elsewhere,
// or can be worked out, then the length of lists.
func cuts() []func(*status.Status) string {
	return []func(*status.Status) string{
		func(s *status.Status) string {
			n := len(s.Changes)
			s.Changes = nil
			if s.Pending != nil {
				pending := *s.Pending
				n += len(pending.Changes)
				pending.Changes, s.Pending = nil, &pending
			}
			return counted(n, "%d changes of the last sync are left out; they are in the log")
		},
		func(s *status.Status) string {
			n := 0
			s.Cameras = slices.Clone(s.Cameras)
			for i := range s.Cameras {
				if c := &s.Cameras[i]; c.State == string(archive.Live) {
					c.Live, c.LowLatency, c.Message = "", "", ""
					n++
				}
			}
			return counted(n, "the addresses of %d live cameras are left out")
		},
		func(s *status.Status) string {
			all := len(s.Cameras)
			s.Cameras = slices.DeleteFunc(s.Cameras, func(c status.Camera) bool { return c.State == string(archive.Live) })
			return counted(all-len(s.Cameras), "%d live cameras are left out")
		},
		lists(1000), lists(100), lists(10),
	}
}

func counted(n int, format string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(format, n)
}

// lists shortens every list to n.
func lists(n int) func(*status.Status) string {
	return func(s *status.Status) string {
		var left int
		for _, changes := range []*[]engine.Change{&s.Held, &s.Failed, &s.Waiting} {
			left += shorten(changes, n)
		}
		left += shorten(&s.Cameras, n) + shorten(&s.Problems, n) + shorten(&s.Warnings, n) +
			shorten(&s.Sites, n) + shorten(&s.Nodes, n) + shorten(&s.Health, n)
		if s.Refused != nil {
			refused := *s.Refused
			left += shorten(&refused.Problems, n)
			s.Refused = &refused
		}
		return counted(left, fmt.Sprintf("%%d further lines are left out: each list has at most %d", n))
	}
}

func shorten[T any](list *[]T, n int) int {
	left := max(0, len(*list)-n)
	*list = (*list)[:len(*list)-left]
	return left
}

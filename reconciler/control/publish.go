package control

import (
	"context"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"

	"camfleet.dev/reconciler/status"
)

// Publish takes a status up to be shown in the ConfigMap NAME-status. It does
// not block, and may be called as often as one likes: the newest is written,
// the first of a term at once, others at most every few seconds, and only if it
// says anything new. That the source was asked again is nothing new.
func (d *Desk) Publish(s status.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.newest = &s
	if d.offered != nil {
		put(d.offered, struct{}{})
	}
}

func (d *Desk) latest() *status.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.newest
}

// report writes the newest status, if it says anything new. It returns whether
// it has tried to, after which there is a pause, and whether it is still to be written.
func (d *Desk) report(ctx context.Context) (tried, left bool) {
	newest := d.latest()
	if newest == nil || d.written != "" && vague(newest) {
		return false, false // what was reported before says more
	}
	s := *newest
	s.Conditions = d.conditions(newest)
	text, err := news(s)
	if err == nil && text == d.written {
		return false, false
	}
	var data page
	if err == nil {
		data, err = pack(s)
	}
	if err == nil {
		err = d.write(ctx, data)
	}
	if err != nil {
		if ctx.Err() == nil {
			d.Log.Error("the status cannot be written; it is tried again", "error", err)
		}
		return true, true
	}
	d.written, d.matter = text, d.mattersOf(newest)
	return true, false
}

// vague tells whether a status says nothing yet: its reconciler has just begun,
// and has found nothing to do so far.
func vague(s *status.Status) bool {
	return s.State == status.Starting && (s.Pending == nil || len(s.Pending.Changes) == 0)
}

// news is what is new when it changes, as text. The times of the last look at
// the source and at the objects change with every look.
func news(s status.Status) (string, error) {
	s.Fetched, s.Synced = time.Time{}, time.Time{}
	text, err := json.Marshal(s)
	return string(text), err
}

// matter is what somebody may wait for, or be afraid of: it is told sooner than
// how each camera is.
type matter struct {
	State                           status.State
	Commit, Refused, Answer, Reason string
	Held, Failed, Problems          int
	Unverified, Unfetched           bool
}

func (d *Desk) mattersOf(s *status.Status) matter {
	m := matter{
		State: s.State, Commit: s.Commit, Held: len(s.Held), Failed: len(s.Failed), Problems: len(s.Problems),
		Unverified: s.Unverified != "", Unfetched: s.FetchError != "",
	}
	if s.Refused != nil {
		m.Refused = s.Refused.Commit
	}
	if s.Suspended != nil {
		m.Reason = s.Suspended.Reason
	}
	if d.told.answer != nil {
		m.Answer = d.told.answer.Message
	}
	return m
}

// matters tells whether the newest status says more than how cameras are.
func (d *Desk) matters() bool {
	newest := d.latest()
	return newest != nil && d.mattersOf(newest) != d.matter
}

// stored is the news that a ConfigMap has: a new leader need not write them again.
// It is "" when it has none, or what was left out of it.
func stored(cm *corev1.ConfigMap) (string, matter) {
	s, err := unpack(cm.BinaryData[KeyStatus])
	if err != nil {
		return "", matter{}
	}
	text, err := news(s)
	if err != nil {
		return "", matter{}
	}
	return text, (&Desk{}).mattersOf(&s)
}

func (d *Desk) write(ctx context.Context, p page) error {
	name := StatusName(d.Name)
	if _, err := d.ensure(ctx, name); err != nil {
		return err
	}
	return d.patch(ctx, name, map[string]any{
		"data":       map[string]any{KeySummary: p.summary, KeyConditions: p.conditions},
		"binaryData": map[string]any{KeyStatus: p.status},
	})
}

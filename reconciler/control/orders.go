package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"camfleet.dev/reconciler/status"
)

// told is what the reconciler was told already.
type told struct {
	suspend  *bool // nil until it was told
	reason   string
	wake     string
	approved string // the commit whose held changes were approved
	// answer is what became of the approval, told to people; nil without one.
	answer *status.Condition
	event  string // the last order and answer that an Event was written of
}

// obey makes the reconciler do what the annotations say. It returns false when
// it has to try again.
func (d *Desk) obey(ctx context.Context) bool {
	if wake := d.orders.Annotations[AnnotationWake]; wake != d.told.wake {
		d.told.wake = wake
		if d.Orders.Wake != nil && wake != "" {
			d.Orders.Wake()
		}
	}
	err := d.obeySuspend()
	if err != nil {
		d.Log.Error("an order cannot be obeyed; it is tried again", "error", err)
	}
	return d.obeyApprove(ctx) && err == nil
}

func (d *Desk) obeySuspend() error {
	reason, suspend := d.orders.Annotations[AnnotationSuspend]
	if d.told.suspend != nil && *d.told.suspend == suspend && d.told.reason == reason {
		return nil
	}
	var err error
	switch {
	case suspend && d.Orders.Suspend != nil:
		err = d.Orders.Suspend(reason)
	case !suspend && d.Orders.Resume != nil:
		err = d.Orders.Resume()
	}
	if err != nil {
		return err
	}
	d.told.suspend, d.told.reason = &suspend, reason
	return nil
}

// setBy is the program (a field manager) that set an annotation, and when. The
// person is known to the API server's audit log only.
func setBy(cm *corev1.ConfigMap, annotation string) (string, time.Time) {
	for _, m := range cm.ManagedFields {
		var fields struct {
			Metadata struct {
				Annotations map[string]json.RawMessage `json:"f:annotations"`
			} `json:"f:metadata"`
		}
		if m.FieldsV1 == nil || m.Time == nil || json.Unmarshal(m.FieldsV1.GetRawBytes(), &fields) != nil {
			continue
		}
		if _, ok := fields.Metadata.Annotations["f:"+annotation]; ok {
			return m.Manager, m.Time.UTC()
		}
	}
	return "", time.Now().UTC().Truncate(time.Second)
}

// commits are hashes, whole or their beginning.
var commits = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// conditionApproved is the type of the condition that answers an approval.
const conditionApproved = "Approved"

// obeyApprove looks at the approval whenever it, or the newest commit, changes.
// It returns false when it has to try again.
func (d *Desk) obeyApprove(ctx context.Context) bool {
	want := strings.TrimSpace(d.orders.Annotations[AnnotationApprove])
	s := d.latest()
	switch {
	case want == "":
		d.told.answer, d.told.approved = nil, ""
	case !commits.MatchString(want):
		d.answer(ctx, "False", "NotACommit", fmt.Sprintf("%q is not a commit: it is approved by its hash, or at least 7 digits of it", clip(want, 80)))
	case s == nil || s.Commit == "": // nothing was read yet
	case !strings.HasPrefix(s.Commit, want):
		if d.told.approved != "" && strings.HasPrefix(d.told.approved, want) {
			return d.end(ctx, want)
		}
		d.answer(ctx, "False", "NotNewest", fmt.Sprintf("commit %s is not the newest one that was read, which is %s; it is approved if it becomes that",
			short(want), short(s.Commit)))
	case len(s.Held) == 0 && d.told.approved == s.Commit: // done, or being done
	case len(s.Held) == 0:
		d.answer(ctx, "False", "NothingHeld", fmt.Sprintf("no change of commit %s waits for approval", short(s.Commit)))
	case d.told.approved != s.Commit && d.Orders.Approve != nil:
		n, err := d.Orders.Approve(s.Commit)
		if err != nil {
			d.answer(ctx, "False", "Failed", err.Error())
			return false
		}
		d.told.approved = s.Commit
		by, _ := setBy(d.orders, AnnotationApprove)
		d.Log.Info("approved", "commit", short(s.Commit), "changes", n, "with", by)
		d.answer(ctx, "True", "Approved", fmt.Sprintf("%d changes of commit %s were approved", n, short(s.Commit)))
	}
	return true
}

// end takes an approval away that was used, and whose commit is not the newest
// any more: if that commit comes back, it is asked about again.
func (d *Desk) end(ctx context.Context, want string) bool {
	err := d.patch(ctx, d.Name, map[string]any{"metadata": map[string]any{
		"resourceVersion": d.orders.ResourceVersion, "annotations": map[string]any{AnnotationApprove: nil},
	}})
	if err != nil { // somebody wrote in between, perhaps
		d.Log.Debug("an approval that is over is still there", "commit", want, "error", err)
		return false
	}
	d.told.approved, d.told.answer = "", nil
	d.orders = d.orders.DeepCopy() // the informer's own is not ours to change
	delete(d.orders.Annotations, AnnotationApprove)
	return true
}

// answer says what became of an approval: in the conditions, and as an Event
// when it is news to whoever gave it.
func (d *Desk) answer(ctx context.Context, value, reason, message string) {
	now := time.Now().UTC().Truncate(time.Second)
	if was := d.told.answer; was != nil && was.Status == value {
		now = was.Since
	}
	d.told.answer = &status.Condition{Type: conditionApproved, Status: value, Reason: reason, Message: message, Since: now}
	// Not the message: what is not the newest commit stays that with each newer one.
	event := d.orders.Annotations[AnnotationApprove] + " " + reason
	if event == d.told.event || reason == "NothingHeld" {
		return
	}
	d.told.event = event
	kind := corev1.EventTypeWarning
	if value == "True" {
		kind = corev1.EventTypeNormal
	} else {
		d.Log.Warn("an approval was not taken", "reason", message)
	}
	if err := d.event(ctx, kind, "Approval"+reason, message); err != nil {
		d.Log.Warn("no event could be written", "error", err)
	}
}

func (d *Desk) event(ctx context.Context, kind, reason, message string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	now := metav1.Now()
	_, err := d.Client.Core.Events(d.Namespace).Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: d.Name + ".", Namespace: d.Namespace},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "ConfigMap", Namespace: d.Namespace, Name: d.Name, UID: d.orders.UID,
		},
		Type: kind, Reason: reason, Message: clip(message, 1000),
		Source: corev1.EventSource{Component: manager}, ReportingController: manager,
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}, metav1.CreateOptions{FieldManager: manager})
	return err
}

// conditions are a status's, and the answer to an approval. Sorted by type.
func (d *Desk) conditions(s *status.Status) []status.Condition {
	out := slices.Clone(s.Conditions)
	if d.told.answer != nil {
		out = slices.DeleteFunc(out, func(c status.Condition) bool { return c.Type == conditionApproved })
		out = append(out, *d.told.answer)
	}
	slices.SortFunc(out, func(a, b status.Condition) int { return cmp.Compare(a.Type, b.Type) })
	return out
}

// clip shortens a text to n bytes.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n-len("…")], "") + "…"
}

// short is a commit's hash as people write it.
func short(hash string) string { return hash[:min(len(hash), 12)] }

package control

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"camfleet.dev/reconciler/status"
)

// ReadNotes implements reconciler.Notes.
func (d *Desk) ReadNotes(notes any) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	cm, err := d.ensure(ctx, d.Name)
	if err != nil {
		return err
	}
	text, err := json.Marshal(d.noted(cm))
	if err == nil {
		err = json.Unmarshal(text, notes)
	}
	if err != nil {
		return fmt.Errorf("ConfigMap %s/%s: %s: %w", d.Namespace, d.Name, KeyNotes, err)
	}
	if d.read != nil {
		put(d.read, struct{}{})
	}
	return nil
}

// keySuspended is the notes' key that the annotation decides about.
const keySuspended = "suspended"

// noted are the notes of a ConfigMap. Damaged ones are none, as if nothing had
// been approved; suspended it stays.
func (d *Desk) noted(cm *corev1.ConfigMap) map[string]any {
	notes := map[string]any{}
	if text, ok := cm.Data[KeyNotes]; ok {
		if err := json.Unmarshal([]byte(text), &notes); err != nil || notes == nil {
			d.Log.Error("what was noted cannot be read; held changes must be approved again", "configmap", d.Name, "error", err)
			notes = map[string]any{}
		}
	}
	delete(notes, keySuspended)
	if reason, ok := cm.Annotations[AnnotationSuspend]; ok {
		_, since := setBy(cm, AnnotationSuspend)
		notes[keySuspended] = status.Suspension{Since: since, Reason: reason}
	}
	return notes
}

// WriteNotes implements reconciler.Notes.
func (d *Desk) WriteNotes(notes any) error {
	text, err := json.Marshal(notes)
	if err != nil {
		return fmt.Errorf("encoding notes: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	return d.note(ctx, string(text))
}

// note writes notes over the version that was read right before: somebody else
// who writes in between makes it look again.
func (d *Desk) note(ctx context.Context, text string) error {
	for {
		cm, err := d.ensure(ctx, d.Name)
		if err != nil {
			return err
		}
		if cm.Data[KeyNotes] == text {
			return nil
		}
		err = d.patch(ctx, d.Name, map[string]any{
			"metadata": map[string]any{"resourceVersion": cm.ResourceVersion}, "data": map[string]any{KeyNotes: text},
		})
		if !apierrors.IsConflict(err) {
			return err
		}
	}
}

package cluster

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// putBack says, in the log and as an Event of the object, that fields which
// other managers had changed have our values again.
func (t taker) putBack(ctx context.Context, by others) {
	id := t.step.Want.ID
	t.Log.Warn("fields were put back", "object", id, "site", t.step.Want.Site, "camera", t.step.Want.Camera, "by", by.String())
	if err := t.event(ctx, "FieldsPutBack", "put back to what Git says: "+by.String()); err != nil {
		t.Log.Warn("no event could be written", "object", id, "error", err)
	}
}

// maxNote is the longest message that an Event may have.
const maxNote = 1000

// event writes a Warning about the step's object. An Event is told once: it is
// not tried again.
func (t taker) event(ctx context.Context, reason, message string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	id, uid := t.step.ID(), ""
	if t.step.Live != nil {
		uid = t.step.Live.UID
	}
	namespace := id.Namespace
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	now := time.Now().UTC().Format(time.RFC3339)
	e := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Event",
		"metadata": map[string]any{"generateName": id.Name + ".", "namespace": namespace},
		"involvedObject": map[string]any{
			"apiVersion": id.APIVersion, "kind": id.Kind, "namespace": id.Namespace, "name": id.Name, "uid": uid,
		},
		"type": "Warning", "reason": reason, "message": message[:min(len(message), maxNote)],
		"source": map[string]any{"component": manager}, "reportingComponent": manager,
		"firstTimestamp": now, "lastTimestamp": now, "count": int64(1),
	}}
	_, err := t.Client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "events"}).Namespace(namespace).
		Create(ctx, e, metav1.CreateOptions{FieldManager: manager})
	return err
}

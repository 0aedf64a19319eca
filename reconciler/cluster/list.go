package cluster

import (
	"encoding/json"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

// list is everything of the fleet, for the engine.
func (w *watch) list() []engine.Live {
	entries := w.all()
	configs := map[string]*entry{}
	for _, e := range entries {
		if e.live.Kind == "ConfigMap" && e.live.Role == object.RoleCamera {
			configs[e.Namespace+"/"+e.Name] = e
		}
	}
	out := make([]engine.Live, 0, len(entries))
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range entries {
		if e.foreign() {
			continue
		}
		live := e.live
		if s, ok := w.settled[live.ID]; ok && s.made == string(live.Body) {
			live.Body = []byte(s.want)
		} else if e.applied != nil {
			live.Body = e.applied
		}
		live.Unapplied = !e.ours
		if live.Pod != nil {
			if since := w.nodes.gone(live.Pod.Node); !since.IsZero() {
				pod := *live.Pod
				pod.NodeGone = since
				live.Pod = &pod
			}
			if e.orphan(configs[e.Namespace+"/"+e.Name]) {
				live.Body = withOwners(live.Body)
			}
		}
		out = append(out, live)
	}
	return out
}

// orphan tells whether a camera's Pod has lost its owner, or has one that does
// not exist any more. config is the ConfigMap of its name, or nil.
func (e *entry) orphan(config *entry) bool {
	return e.ours && e.live.Role == object.RoleCamera && e.DeletionTimestamp == nil &&
		config != nil && config.DeletionTimestamp == nil && e.owner != config.UID
}

// withOwners adds owners to a body, which no rendered object has: this is how
// the engine sees that they must be put right.
func withOwners(body json.RawMessage) json.RawMessage {
	var o map[string]json.RawMessage
	var metadata map[string]json.RawMessage
	if json.Unmarshal(body, &o) != nil || json.Unmarshal(o["metadata"], &metadata) != nil {
		return body
	}
	metadata["ownerReferences"] = json.RawMessage(`[]`)
	var err error
	if o["metadata"], err = json.Marshal(metadata); err != nil {
		return body
	}
	if out, err := json.Marshal(o); err == nil {
		return out
	}
	return body
}

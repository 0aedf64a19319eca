// Package render turns a site's Go types into its Kubernetes objects: one
// Namespace, a claim, a headless Service and the page for the site; a
// ConfigMap, a Pod, a CronJob and a NetworkPolicy for each camera.
//
//	schema.Site ─► Site ─► []object.Object (canonical JSON) ─► overlay, reconciler
//
// It is pure: the same input gives the same bytes. Decisions that are not in
// the contracts:
//
//   - A pinned camera is held on its Node by a node affinity on metadata.name,
//     as a DaemonSet's Pods are: the name of a Node may be longer than a label,
//     and need not equal its kubernetes.io/hostname.
//   - With ReadWriteOnce all Pods of a site must meet on one node: they are
//     pinned to the one edge that its cameras name, or else kept together by a
//     Pod affinity.
//   - Labels of what Jobs and ReplicaSets make from a template leave out
//     managed-by and fleet: what carries those two is rendered here, and may be
//     pruned; what a controller makes may not.
//   - Day files are made between 04:10 and 07:10 local time: every such minute
//     exists exactly once on every day of every time zone.
//   - nginx.conf does not depend on the cameras (the page's ConfigMap has a
//     mark for each, see package page), so that adding a camera restarts nothing.
package render

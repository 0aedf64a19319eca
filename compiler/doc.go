// Package compiler turns a commit's files into Kubernetes objects and positioned
// problems. It is pure: no clock, network, environment or host file system; the
// same files give the same bytes. DESIGN.md says why it is as it is.
//
//	fs.FS ─► tree ─► load (CUE + schema) ─► diagnose ─► cross-checks ─► render ─► overlay ─► object.Result
package compiler

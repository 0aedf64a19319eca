// Package schema is the one description of a camera fleet: the CUE schema that
// users' repositories import as camfleet.dev/schema (embedded here, see FS) and
// the Go types that it decodes to. A test proves that the two agree.
//
// The package knows nothing of Kubernetes, Git or the CUE evaluator, so that
// the small camfleet-worker can use its types.
package schema

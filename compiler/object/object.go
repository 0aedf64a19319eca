// Package object is what the compiler hands to the reconciler: rendered objects
// and positioned problems. It links neither CUE nor Git nor a Kubernetes client.
package object

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// Position is a place in a fleet's repository. Line and Column count from 1;
// 0 means that the place is the whole file; JSON has all three always, so that
// programs need not ask.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Problem is an error that a user caused, with its place. Message says what is
// wrong and what to do about it.
type Problem struct {
	Site string `json:"site,omitempty"` // "" when it concerns the whole fleet
	Position
	Path    string `json:"path"` // CUE path, such as site.cameras.north.url
	Message string `json:"message"`
}

// Error prints file:line:col: path: message, the form that editors and CI read.
func (p Problem) Error() string {
	if p.Path == "" {
		return p.Position.String() + ": " + p.Message
	}
	return p.Position.String() + ": " + p.Path + ": " + p.Message
}

// Unreadable is why one file of a commit has no content: the error of opening it,
// and a problem of whoever needs it. Any other error is the file system's own.
type Unreadable string

func (u Unreadable) Error() string { return string(u) }

// Compare orders problems by file, line, column, path and message.
func (p Problem) Compare(q Problem) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column),
		cmp.Compare(p.Path, q.Path), cmp.Compare(p.Message, q.Message))
}

// ID names an object in a cluster.
type ID struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

func (id ID) String() string {
	if id.Namespace == "" {
		return id.Kind + "/" + id.Name
	}
	return id.Namespace + "/" + id.Kind + "/" + id.Name
}

// Compare orders IDs by namespace, kind and name.
func (id ID) Compare(o ID) int {
	return cmp.Or(cmp.Compare(id.Namespace, o.Namespace), cmp.Compare(id.Kind, o.Kind),
		cmp.Compare(id.Name, o.Name), cmp.Compare(id.APIVersion, o.APIVersion))
}

// Object is one rendered Kubernetes object.
type Object struct {
	ID
	Site   string `json:"site,omitempty"`
	Camera string `json:"camera,omitempty"`
	Role   string `json:"role,omitempty"` // camera, days, page, task or ""
	// Hash is the value of the annotation camfleet.dev/hash: of what needs a
	// restart when it changes. Empty where nothing does.
	Hash string `json:"hash,omitempty"`
	// Source is where the CUE that made it stands. It is not in Body.
	Source Position `json:"source"`
	// Body is the whole object as JSON with sorted keys and no white space.
	Body json.RawMessage `json:"body"`
}

// Labels and annotations that camfleet's objects carry.
const (
	LabelManagedBy   = "app.kubernetes.io/managed-by" // = ManagedBy
	LabelFleet       = "camfleet.dev/fleet"
	LabelSite        = "camfleet.dev/site"
	LabelCamera      = "camfleet.dev/camera"
	LabelRole        = "camfleet.dev/role"
	AnnotationSource = "camfleet.dev/source"
	AnnotationHash   = "camfleet.dev/hash"
	AnnotationPrune  = "camfleet.dev/prune" // = PruneDisabled keeps an object that Git has no more
	PruneDisabled    = "disabled"
	ManagedBy        = "camfleet"

	RoleCamera = "camera"
	RoleDays   = "days"
	RolePage   = "page"
	RoleTask   = "task"
)

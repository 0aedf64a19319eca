package overlay

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"camfleet.dev/compiler/internal/render"
	"camfleet.dev/compiler/object"
)

// File is the overlay's name in a site's folder.
const File = "kustomization.yaml"

// Bounds of what one site's overlay may be.
const (
	maxObjects = 500       // in one run: about a second and 60 MB
	maxSite    = 20_000    // objects of a site, in parts
	chunk      = 100       // objects of a part
	maxFile    = 256 << 10 // bytes
	maxFiles   = 100
	maxTotal   = 1 << 20 // bytes of all files
	maxPatches = 200
	maxDepth   = 5 // kustomizations within each other
)

// Apply applies the kustomization.yaml of a site's folder, if there is one, to
// the site's rendered objects. With problems the objects are not to be used.
func Apply(ctx context.Context, folder fs.FS, site string, objs []object.Object) ([]object.Object, []object.Problem) {
	o := &overlay{fsys: folder, site: site, namespace: render.Namespace(site), where: map[string]object.Position{}}
	if !o.exists() {
		return objs, o.problems
	}
	root := o.scan(".", nil, nil)
	if len(o.problems) > 0 {
		return nil, o.sorted()
	}
	results, err := o.run(ctx, root, objs)
	if err != nil {
		if ctx.Err() == nil {
			o.refuse(o.place(File, nil), "%s", o.explain(err))
		}
		return nil, o.sorted()
	}
	out := o.accept(results, objs)
	if len(o.problems) > 0 {
		return nil, o.sorted()
	}
	return out, nil
}

// overlay is the work on one site.
type overlay struct {
	fsys      fs.FS
	site      string
	namespace string
	problems  []object.Problem

	total   int                        // bytes read
	patches int                        // seen
	names   map[string]string          // our name of a file → the user's
	where   map[string]object.Position // Kind/name of what files bring → its place
	odd     map[string]object.Position // a value that is no modest quantity → its place
}

// exists looks for the overlay, and for one under a name that is not looked for.
func (o *overlay) exists() bool {
	for _, other := range []string{"kustomization.yml", "Kustomization"} {
		if _, err := fs.Stat(o.fsys, other); err == nil {
			o.refuse(o.place(other, nil), "is not read; call it %s", File)
		}
	}
	_, err := fs.Stat(o.fsys, File)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.refuse(o.place(File, nil), "cannot be read: %v", err)
	}
	return err == nil
}

// place is a position in a file of the site's folder.
func (o *overlay) place(file string, at *position) object.Position {
	p := object.Position{File: path.Join("sites", o.site, file)}
	if at != nil {
		p.Line, p.Column = at.line, at.column
	}
	return p
}

// origin is where an object stands that a file brings, or else the overlay itself.
func (o *overlay) origin(id object.ID) object.Position {
	if pos, ok := o.where[id.Kind+"/"+id.Name]; ok {
		return pos
	}
	return o.place(File, nil)
}

func (o *overlay) refuse(at object.Position, format string, args ...any) {
	o.problems = append(o.problems, object.Problem{Site: o.site, Position: at, Message: fmt.Sprintf(format, args...)})
}

func (o *overlay) sorted() []object.Problem {
	slices.SortFunc(o.problems, object.Problem.Compare)
	return slices.Compact(o.problems)
}

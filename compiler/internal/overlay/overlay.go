package overlay

import (
	"context"
	"io/fs"

	"camfleet.dev/compiler/object"
)

// Apply applies a site's kustomization.yaml to its rendered objects.
func Apply(ctx context.Context, siteFS fs.FS, site string, objs []object.Object) ([]object.Object, []object.Problem) {
	return objs, nil
}

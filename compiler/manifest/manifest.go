// Package manifest writes rendered objects as plain YAML, in the order in which
// they can be applied to an empty cluster by whoever takes files one after the
// other: kubectl, Argo CD, Flux.
//
//	camfleet-gate/0-namespace-camfleet-gate.yaml
//	camfleet-gate/1-configmap-camera-north.yaml
//	camfleet-gate/2-deployment-page.yaml
//	camfleet-gate/3-pod-camera-north.yaml
//
// A site's folder is complete: it can be applied alone. Pods come last, because
// Kubernetes refuses a Pod until it has made the service account that every
// namespace gets a moment after its creation.
package manifest

import (
	"cmp"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"camfleet.dev/compiler/object"
)

// File is an object in YAML. Its name has a slash between folder and file.
type File struct {
	Name string
	Data []byte
}

// Files are the objects' files, sorted by name, which is the order to apply
// them in. The same objects give the same files.
func Files(objects []object.Object) ([]File, error) {
	files := make([]File, len(objects))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < len(objects); first += chunk {
		g.Go(func() error {
			for i := first; i < min(first+chunk, len(objects)); i++ {
				var err error
				if files[i], err = file(objects[i]); err != nil {
					return fmt.Errorf("writing %s: %w", objects[i].ID, err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(files); i++ {
		if files[i].Name == files[i-1].Name {
			return nil, fmt.Errorf("writing %s: two objects of this kind and name", files[i].Name)
		}
	}
	return files, nil
}

// chunk is how many objects are written in one piece of work.
const chunk = 100

func file(o object.Object) (File, error) {
	name, err := path(o.ID)
	if err != nil {
		return File{}, err
	}
	text, err := toYAML(o.Body)
	return File{Name: name, Data: text}, err
}

// plain is what a folder or a file may be called: no way out of where it is.
var plain = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]{0,252}$`)

// path is where an object's file is. A namespace lies with what is in it.
func path(id object.ID) (string, error) {
	folder := id.Namespace
	if folder == "" {
		folder = id.Name
	}
	for _, name := range []string{folder, id.Kind, id.Name} {
		if !plain.MatchString(name) {
			return "", fmt.Errorf("%q cannot be part of a file's name", name)
		}
	}
	return fmt.Sprintf("%s/%d-%s-%s.yaml", folder, stage(id.Kind), strings.ToLower(id.Kind), id.Name), nil
}

// stage says when an object can be applied: what others need comes first.
func stage(kind string) int {
	switch kind {
	case "Namespace":
		return 0
	case "Deployment", "CronJob", "Ingress":
		return 2
	case "Pod":
		return 3
	}
	return 1
}

package overlay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"slices"
	"sync"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"camfleet.dev/compiler/object"
)

// kustomize keeps its OpenAPI schema in global variables and writes to them
// while it runs (kustomize#3659): one run at a time in a process. Nothing has to
// be reset between two: the field that would change the schema is refused.
var running sync.Mutex

// top is where the run's root is in its file system, and rendered the file
// with our objects in it.
const (
	top      = "/site"
	rendered = "rendered"
)

// run gives the objects as the kustomization leaves them.
func (o *overlay) run(ctx context.Context, root *dir, objs []object.Object) ([]map[string]any, error) {
	parts := [][]object.Object{objs}
	switch {
	case len(objs) > maxSite:
		return nil, fmt.Errorf("the site has %d objects, and an overlay can be applied to %d: split the site", len(objs), maxSite)
	case root.alone():
		parts = slices.Collect(slices.Chunk(objs, chunk))
	case len(objs) > maxObjects:
		return nil, fmt.Errorf("the site has %d objects, and such an overlay can be applied to %d: split the site, or use only patches with target, images, labels and commonAnnotations, "+
			"which are applied to each object by itself", len(objs), maxObjects)
	}
	var out []map[string]any
	for _, part := range parts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		results, err := o.build(root, part)
		if err != nil {
			return nil, err
		}
		out = append(out, results...)
	}
	return out, nil
}

// build is one run of kustomize.
func (o *overlay) build(root *dir, objs []object.Object) ([]map[string]any, error) {
	fsys := filesys.MakeFsInMemory()
	withObjects := *root
	withObjects.kust.Resources = append([]string{rendered}, root.kust.Resources...)
	if !root.alone() {
		withObjects.kust.Namespace = o.namespace // of what is added; ours have it already
	}
	if err := lay(fsys, top, &withObjects); err != nil {
		return nil, err
	}
	content, err := stripped(objs)
	if err != nil {
		return nil, err
	}
	if err := fsys.WriteFile(path.Join(top, rendered), content); err != nil {
		return nil, err
	}
	return krustyRun(fsys)
}

func krustyRun(fsys filesys.FileSystem) (out []map[string]any, err error) {
	running.Lock()
	defer running.Unlock()
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, fmt.Errorf("kustomize gave up: %v", p)
		}
	}()
	result, err := krusty.MakeKustomizer(&krusty.Options{
		Reorder:          krusty.ReorderOptionNone,
		LoadRestrictions: types.LoadRestrictionsRootOnly,
		PluginConfig:     types.DisabledPluginConfig(),
	}).Run(fsys, top)
	if err != nil {
		return nil, err
	}
	for _, r := range result.Resources() {
		m, err := r.Map()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.CurId(), err)
		}
		out = append(out, m)
	}
	return out, nil
}

// lay writes a scanned kustomization and what belongs to it under a folder.
func lay(fsys filesys.FileSystem, folder string, d *dir) error {
	kust, err := yaml.Marshal(d.kust)
	if err != nil {
		return err
	}
	if err := fsys.WriteFile(path.Join(folder, File), kust); err != nil {
		return err
	}
	for name, content := range d.files {
		if err := fsys.WriteFile(path.Join(folder, name), content); err != nil {
			return err
		}
	}
	for name, nested := range d.dirs {
		if err := lay(fsys, path.Join(folder, name), nested); err != nil {
			return err
		}
	}
	return nil
}

// stripped writes objects as YAML documents, without the data of ConfigMaps:
// it is large, and not an overlay's to change.
func stripped(objs []object.Object) ([]byte, error) {
	var out bytes.Buffer
	for _, obj := range objs {
		body := []byte(obj.Body)
		if obj.Kind == "ConfigMap" {
			var m map[string]json.RawMessage
			if err := json.Unmarshal(body, &m); err != nil {
				return nil, fmt.Errorf("%s: %w", obj.ID, err)
			}
			delete(m, "data")
			delete(m, "binaryData")
			var err error
			if body, err = json.Marshal(m); err != nil {
				return nil, fmt.Errorf("%s: %w", obj.ID, err)
			}
		}
		out.Write(body)
		out.WriteString("\n---\n")
	}
	return out.Bytes(), nil
}

var ownName = regexp.MustCompile(`(?:` + top + `/)?(?:folder-[0-9]+/)*(file-[0-9]+)`)

// verbose is how kustomize repeats what it was given.
var verbose = regexp.MustCompile("trouble configuring builtin [A-Za-z]+ with config: `[^`]*`: ")

// explain writes an error of kustomize with the names that the user knows.
func (o *overlay) explain(err error) string {
	text := ownName.ReplaceAllStringFunc(err.Error(), func(s string) string {
		if name, ok := o.names[ownName.FindStringSubmatch(s)[1]]; ok {
			return name
		}
		return s
	})
	return "kustomize cannot apply it: " + oneLine(verbose.ReplaceAllString(text, ""))
}

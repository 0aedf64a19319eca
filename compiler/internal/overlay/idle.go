package overlay

import (
	"io/fs"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/resid"

	"camfleet.dev/compiler/object"
)

// Idle warns of patches whose target is no object: kustomize leaves them out
// without a word, and a camera that was renamed would lose its patch. objs is
// what Apply returned.
func Idle(folder fs.FS, site string, objs []object.Object) []object.Problem {
	o := &overlay{fsys: folder, site: site}
	content, err := fs.ReadFile(folder, File)
	if err != nil {
		return nil // no overlay
	}
	docs := o.parse(content, func(p *position) object.Position { return o.place(File, p) })
	var kust types.Kustomization
	if len(docs) != 1 || kust.Unmarshal(content) != nil {
		return nil // Apply has said so
	}
	var warnings []object.Problem
	for i, p := range kust.Patches {
		if p.Target == nil || p.Target.LabelSelector != "" || p.Target.AnnotationSelector != "" || selects(p.Target, objs) {
			continue
		}
		warnings = append(warnings, object.Problem{
			Site: site, Position: o.place(File, at(lookup(docs[0], "patches", i, "target"))),
			Message: "this patch changes nothing, for no object of the site is its target; `camfleet compile` shows their kinds and names",
		})
	}
	return warnings
}

func selects(target *types.Selector, objs []object.Object) bool {
	match, err := types.NewSelectorRegex(target)
	if err != nil {
		return true // kustomize has said so
	}
	for _, obj := range objs {
		group, version := resid.ParseGroupVersion(obj.APIVersion)
		if match.MatchGvk(resid.Gvk{Group: group, Version: version, Kind: obj.Kind}) && match.MatchName(obj.Name) && match.MatchNamespace(obj.Namespace) {
			return true
		}
	}
	return false
}

package overlay

import (
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"camfleet.dev/compiler/internal/diagnose"
	"camfleet.dev/compiler/object"
)

// allowed are the fields of a kustomization that are taken over.
var allowed = []string{
	"TypeMeta", "MetaData", "Namespace", "Resources", "Components", "Patches", "Images", "Labels", "CommonAnnotations",
	"Replicas", "ConfigMapGenerator", "GeneratorOptions",
}

// instead says what to do about a field that is not allowed.
var instead = map[string]string{
	"NamePrefix":            "names are camfleet's own",
	"NameSuffix":            "names are camfleet's own",
	"CommonLabels":          "use labels; selectors are camfleet's own",
	"PatchesStrategicMerge": "use patches",
	"PatchesJson6902":       "use patches, with target",
	"ImageTags":             "use images",
	"Bases":                 "use resources, with folders inside the site's own",
	"Vars":                  "write the value into a patch",
	"Replacements":          "write the value into a patch",
	"SecretGenerator":       "a Secret's content is never in Git; create it in the cluster, and name it in CUE",
}

// dir is a kustomization that has been looked at, as kustomize will see it.
type dir struct {
	kust  types.Kustomization
	files map[string][]byte // by name in this folder
	dirs  map[string]*dir
}

// scan looks at the kustomization in a folder, and at what it refers to.
func (o *overlay) scan(folder string, from *object.Position, parents []string) *dir {
	file := path.Join(folder, File)
	if slices.Contains(parents, folder) || len(parents) == maxDepth {
		o.refuse(*from, "kustomizations refer to each other in a circle, or more than %d deep: %s", maxDepth, strings.Join(append(parents, folder), " → "))
		return nil
	}
	content, ok := o.read(file, from)
	if !ok {
		return nil
	}
	docs := o.parse(content, func(p *position) object.Position { return o.place(file, p) })
	if len(docs) != 1 {
		if docs != nil || len(o.problems) == 0 {
			o.refuse(o.place(file, nil), "must be one YAML document")
		}
		return nil
	}
	var kust types.Kustomization
	if err := kust.Unmarshal(content); err != nil {
		pos, words := misfit(err, docs[0])
		o.refuse(o.place(file, pos), "%s", words)
		return nil
	}
	s := &scanner{overlay: o, folder: folder, file: file, doc: docs[0], parents: append(slices.Clone(parents), folder)}
	return s.take(kust)
}

var unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)

// misfit says where and why a document is no kustomization: kustomize names a
// field that it does not know, but not where it stands.
func misfit(err error, doc *yaml.Node) (*position, string) {
	m := unknownField.FindStringSubmatch(err.Error())
	if m == nil {
		return nil, oneLine(err.Error())
	}
	words := fmt.Sprintf("unknown field %q", m[1])
	if keys := lookup(doc); keys != nil && slices.ContainsFunc(keys.Content, func(n *yaml.Node) bool { return n.Value == m[1] }) {
		words += diagnose.DidYouMean(m[1], known(), "fields")
	}
	return at(keyOf(doc, m[1])), words
}

// known are the fields of a kustomization that are taken over, as they are written.
func known() []string {
	t := reflect.TypeFor[types.Kustomization]()
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && slices.Contains(allowed, t.Field(i).Name) {
			names = append(names, name)
		}
	}
	return names
}

// scanner takes one kustomization over.
type scanner struct {
	*overlay
	folder, file string
	doc          *yaml.Node
	parents      []string
	out          *dir
}

func (s *scanner) at(steps ...any) object.Position {
	return s.place(s.file, at(lookup(s.doc, steps...)))
}

func (s *scanner) take(k types.Kustomization) *dir {
	s.out = &dir{files: map[string][]byte{}, dirs: map[string]*dir{}}
	s.fields(k)
	s.out.kust = types.Kustomization{
		TypeMeta: k.TypeMeta, Namespace: k.Namespace, Images: k.Images, Labels: k.Labels, CommonAnnotations: k.CommonAnnotations,
		Replicas: k.Replicas, GeneratorOptions: k.GeneratorOptions,
	}
	if k.Namespace != "" && k.Namespace != s.namespace {
		s.refuse(s.at("namespace"), "%q is not the site's namespace; leave it out, or write %q", k.Namespace, s.namespace)
	}
	for i, l := range k.Labels {
		if l.IncludeSelectors || len(l.FieldSpecs) > 0 {
			s.refuse(s.at("labels", i), "selectors are camfleet's own; use labels with pairs and includeTemplates only")
		}
	}
	s.resources(k)
	s.patched(k.Patches)
	s.generators(k.ConfigMapGenerator)
	return s.out
}

// alone says that the kustomization treats every object by itself: what it
// makes of one depends on no other.
func (d *dir) alone() bool {
	k := d.kust
	untargeted := slices.ContainsFunc(k.Patches, func(p types.Patch) bool { return p.Target == nil })
	return !untargeted && len(k.Replicas)+len(k.Resources)+len(k.Components)+len(k.ConfigMapGenerator) == 0
}

// fields refuses every field that is set and is not taken over.
func (s *scanner) fields(k types.Kustomization) {
	v := reflect.ValueOf(k)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if v.Field(i).IsZero() || slices.Contains(allowed, field.Name) {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		why := instead[field.Name]
		if why == "" {
			why = "an overlay may have resources, components, patches, images, labels, commonAnnotations, replicas and configMapGenerator"
		}
		s.refuse(s.at(name), "%s is not allowed: %s", name, why)
	}
}

func (s *scanner) resources(k types.Kustomization) {
	for i, entry := range k.Resources {
		pos := s.at("resources", i)
		name, info, ok := s.inside(entry, pos)
		switch {
		case !ok:
		case info.IsDir():
			s.out.kust.Resources = append(s.out.kust.Resources, s.nested(name, pos))
		default:
			s.out.kust.Resources = append(s.out.kust.Resources, s.yamlFile(name, pos))
		}
	}
	for i, entry := range k.Components {
		pos := s.at("components", i)
		if name, info, ok := s.inside(entry, pos); ok {
			if !info.IsDir() {
				s.refuse(pos, "%q is not a folder with a %s", entry, File)
				continue
			}
			s.out.kust.Components = append(s.out.kust.Components, s.nested(name, pos))
		}
	}
}

// nested scans a folder, and gives it a name of our own.
func (s *scanner) nested(folder string, pos object.Position) string {
	name := fmt.Sprintf("folder-%d", len(s.out.dirs))
	s.out.dirs[name] = s.scan(folder, &pos, s.parents)
	return name
}

func (s *scanner) patched(patches []types.Patch) {
	if s.patches += len(patches); s.patches > maxPatches {
		s.refuse(s.at("patches"), "the site's overlay has more than %d patches", maxPatches)
		return
	}
	for i, p := range patches {
		if p.Path != "" {
			pos := s.at("patches", i, "path")
			if name, info, ok := s.inside(p.Path, pos); ok {
				p.Path = s.patchFile(name, info, pos)
			}
		}
		if p.Patch != "" {
			// A block's lines begin below its "|".
			start := s.at("patches", i, "patch")
			s.patchText([]byte(p.Patch), func(rel *position) object.Position {
				if pos := start; rel != nil {
					return object.Position{File: pos.File, Line: pos.Line + rel.line}
				}
				return start
			})
		}
		s.out.kust.Patches = append(s.out.kust.Patches, p)
	}
}

func (s *scanner) patchFile(name string, info fs.FileInfo, pos object.Position) string {
	if info.IsDir() {
		s.refuse(pos, "%q is a folder; a patch is a file", name)
		return ""
	}
	content, ok := s.read(name, &pos)
	if ok {
		s.patchText(content, func(p *position) object.Position { return s.place(name, p) })
	}
	return s.keep(name, content)
}

func (s *scanner) patchText(content []byte, place func(*position) object.Position) {
	for _, doc := range s.parse(content, place) {
		if bad := copying(doc); bad != nil {
			s.refuse(place(at(bad)), "the operation copy is not allowed; add the value itself")
		}
	}
}

func (s *scanner) generators(list []types.ConfigMapArgs) {
	for i, g := range list {
		if g.EnvSource != "" {
			s.refuse(s.at("configMapGenerator", i, "env"), "use envs")
		}
		g.EnvSource = ""
		for j, source := range g.FileSources {
			key, file, named := strings.Cut(source, "=")
			if !named {
				file, key = source, path.Base(source)
			}
			g.FileSources[j] = key + "=" + s.dataFile(file, s.at("configMapGenerator", i, "files", j))
		}
		for j, file := range g.EnvSources {
			g.EnvSources[j] = s.dataFile(file, s.at("configMapGenerator", i, "envs", j))
		}
		s.out.kust.ConfigMapGenerator = append(s.out.kust.ConfigMapGenerator, g)
	}
}

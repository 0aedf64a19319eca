package overlay

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"camfleet.dev/compiler/object"
)

// inside resolves a path that a kustomization names: a file or folder of the
// site's own folder, and nothing else.
func (s *scanner) inside(entry string, pos object.Position) (string, fs.FileInfo, bool) {
	switch {
	case strings.Contains(entry, "://") || strings.ContainsAny(entry, "@?") || strings.HasPrefix(entry, "git::"):
		s.refuse(pos, "%q is remote; copy the file into sites/%s and name it here", entry, s.site)
		return "", nil, false
	case path.IsAbs(entry) || entry == "" || strings.Contains(entry, `\`):
		s.refuse(pos, "%q is not a path inside sites/%s", entry, s.site)
		return "", nil, false
	}
	name := path.Join(s.folder, entry)
	if name == "." || !fs.ValidPath(name) {
		s.refuse(pos, "%q leads out of sites/%s; an overlay uses only files of its own site", entry, s.site)
		return "", nil, false
	}
	info, err := fs.Stat(s.fsys, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.refuse(pos, "%q does not exist in sites/%s (files from elsewhere are not fetched)", entry, s.site)
	case err != nil:
		s.refuse(pos, "%q cannot be read: %v", entry, err)
	case !info.IsDir() && !info.Mode().IsRegular():
		s.refuse(pos, "%q is neither a file nor a folder", entry)
	default:
		return name, info, true
	}
	return "", nil, false
}

// read reads a file of the site within the bounds.
func (o *overlay) read(name string, from *object.Position) ([]byte, bool) {
	pos := o.place(name, nil)
	if from != nil {
		pos = *from
	}
	content, err := readAtMost(o.fsys, name, maxFile)
	switch o.total += len(content); {
	case err != nil:
		o.refuse(pos, "%s cannot be read: %v", name, err)
	case len(content) > maxFile:
		o.refuse(pos, "%s is larger than %d KiB", name, maxFile>>10)
	case o.total > maxTotal:
		o.refuse(pos, "the files of the site's overlay are larger than %d KiB together", maxTotal>>10)
	default:
		return content, true
	}
	return nil, false
}

// readAtMost reads a byte more than limit at most.
func readAtMost(fsys fs.FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// keep gives a file a name of our own in the folder that uses it.
func (s *scanner) keep(name string, content []byte) string {
	if s.names == nil {
		s.names = map[string]string{}
	}
	own := fmt.Sprintf("file-%d", len(s.names)+1)
	if len(s.names) == maxFiles {
		s.refuse(s.place(s.file, nil), "the site's overlay has more than %d files", maxFiles)
	}
	s.names[own], s.out.files[own] = name, content
	return own
}

// yamlFile takes a file of objects over.
func (s *scanner) yamlFile(name string, pos object.Position) string {
	content, ok := s.read(name, &pos)
	if ok {
		for _, doc := range s.parse(content, func(p *position) object.Position { return s.place(name, p) }) {
			s.welcome(name, doc)
		}
	}
	return s.keep(name, content)
}

// welcome notes where an object stands that a file brings, and refuses kinds
// that a site cannot have while their place is known. What a list holds is seen
// only when kustomize has taken it apart.
func (s *scanner) welcome(file string, doc *yaml.Node) {
	kind, name := child(lookup(doc), "kind"), child(lookup(doc, "metadata"), "name")
	if kind == nil || strings.HasSuffix(kind.Value, "List") {
		return
	}
	apiVersion := ""
	if n := child(lookup(doc), "apiVersion"); n != nil {
		apiVersion = n.Value
	}
	if name != nil {
		s.where[kind.Value+"/"+name.Value] = s.place(file, at(lookup(doc)))
	}
	if why := unwelcome(apiVersion, kind.Value); why != "" {
		s.refuse(s.place(file, at(kind)), "%s", why)
	}
	if ns := child(lookup(doc, "metadata"), "namespace"); ns != nil && ns.Value != "" && ns.Value != s.namespace {
		s.refuse(s.place(file, at(ns)), "%q is not the site's namespace; leave it out, or write %q", ns.Value, s.namespace)
	}
}

// dataFile takes a file over that only becomes a text in a ConfigMap.
func (s *scanner) dataFile(entry string, pos object.Position) string {
	name, info, ok := s.inside(entry, pos)
	if !ok {
		return ""
	}
	if info.IsDir() {
		s.refuse(pos, "%q is a folder; name its files", entry)
		return ""
	}
	content, _ := s.read(name, &pos)
	return s.keep(name, content)
}

// oneLine shortens a message for people.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	const most = 400
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + " …"
	}
	return s
}

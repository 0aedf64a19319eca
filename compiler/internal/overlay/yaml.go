package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"camfleet.dev/compiler/object"
)

// position is a place in a file, counted from 1.
type position struct{ line, column int }

func at(n *yaml.Node) *position {
	if n == nil {
		return nil
	}
	return &position{n.Line, n.Column}
}

// parse reads YAML (or JSON) of one or more documents, and refuses what would
// grow when it is expanded. Its nodes are not expanded.
func (o *overlay) parse(content []byte, place func(*position) object.Position) []*yaml.Node {
	var docs []*yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		switch {
		case errors.Is(err, io.EOF):
			return docs
		case err != nil:
			words := yamlLine.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), "")
			o.refuse(place(errorLine(err)), "is not YAML: %s", strings.TrimSpace(words))
			return nil
		}
		if bad := expanding(&doc); bad != nil {
			o.refuse(place(at(bad)), "YAML anchors and aliases (& and *) are not allowed here; write the value out")
			return nil
		}
		if bad := tagged(&doc); bad != nil {
			o.refuse(place(at(bad)), "the YAML tag %.40q is not allowed here; write the value as it is", bad.Tag)
			return nil
		}
		o.note(&doc, place)
		docs = append(docs, &doc)
	}
}

var yamlLine = regexp.MustCompile(`line ([0-9]+):`)

func errorLine(err error) *position {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			return &position{line: n}
		}
	}
	return nil
}

// expanding finds an alias or an anchor.
func expanding(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag == "!!merge" {
		return n
	}
	for _, c := range n.Content {
		if bad := expanding(c); bad != nil {
			return bad
		}
	}
	return nil
}

// tagged finds a value that is another one for kustomize than what stands
// there: !!binary is base64, and could say anything that is looked for here.
func tagged(n *yaml.Node) *yaml.Node {
	switch n.Tag {
	case "", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!!timestamp":
	default:
		return n
	}
	for _, c := range n.Content {
		if bad := tagged(c); bad != nil {
			return bad
		}
	}
	return nil
}

// copying finds a JSON patch's operation "copy": a few dozen of them, each
// copying what the one before has made, fill any memory.
func copying(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == "op" && n.Content[i+1].Value == "copy" {
				return n.Content[i+1]
			}
		}
	}
	for _, c := range n.Content {
		if bad := copying(c); bad != nil {
			return bad
		}
	}
	return nil
}

// lookup walks down a document by keys (letters' case is not looked at, as
// kustomize does not) and indexes, as far as there is something.
func lookup(n *yaml.Node, steps ...any) *yaml.Node {
	if n != nil && n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	for _, step := range steps {
		next := child(n, step)
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// keyOf is the first key of that name in a document.
func keyOf(n *yaml.Node, name string) *yaml.Node {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && c.Value == name {
			return c
		}
		if found := keyOf(c, name); found != nil {
			return found
		}
	}
	return nil
}

func child(n *yaml.Node, step any) *yaml.Node {
	switch step := step.(type) {
	case int:
		if n != nil && n.Kind == yaml.SequenceNode && step < len(n.Content) {
			return n.Content[step]
		}
	case string:
		if n == nil || n.Kind != yaml.MappingNode {
			return nil
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if strings.EqualFold(n.Content[i].Value, step) {
				return n.Content[i+1]
			}
		}
	default:
		panic(fmt.Sprintf("no step: %v", step))
	}
	return nil
}

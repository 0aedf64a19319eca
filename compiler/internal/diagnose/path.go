package diagnose

import (
	"strconv"
	"strings"
)

// path is a place in a value, as labels without quotes.
type path []string

// String prints labels as they are, and quotes only what would be read wrongly:
// site.cameras.north-2.url, site.cameras.north.neighbours."gate/south".
func (p path) String() string {
	parts := make([]string, len(p))
	for i, label := range p {
		if label == "" || strings.ContainsAny(label, "./\" \t\n\\") {
			label = strconv.Quote(label)
		}
		parts[i] = label
	}
	return strings.Join(parts, ".")
}

func (p path) add(label string) path {
	return append(p[:len(p):len(p)], label)
}

func (p path) last() string {
	if len(p) == 0 {
		return ""
	}
	return p[len(p)-1]
}

// Path prints labels as problems show them.
func Path(labels ...string) string { return path(labels).String() }

// parsePath reads what String prints, and CUE's own way (every "-" quoted).
func parsePath(s string) path {
	var p path
	for s != "" {
		if s[0] == '"' {
			if quoted, err := strconv.QuotedPrefix(s); err == nil {
				label, _ := strconv.Unquote(quoted)
				p = append(p, label)
				s = strings.TrimPrefix(s[len(quoted):], ".")
				continue
			}
		}
		label, rest, _ := strings.Cut(s, ".")
		p = append(p, label)
		s = rest
	}
	return p
}

// unquoteAll turns the selectors of a CUE error into a path.
func unquoteAll(selectors []string) path {
	p := make(path, len(selectors))
	for i, s := range selectors {
		p[i] = s
		if u, err := strconv.Unquote(s); err == nil {
			p[i] = u
		}
	}
	return p
}

package diagnose

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Known lists the names of a map, sorted.
func Known[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// DidYouMean ends a message about an unknown name with the way out: the name
// that was probably meant, or those that there are. kind is in the plural.
func DidYouMean(name string, known []string, kind string) string {
	if best := Nearest(name, known); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	if len(known) == 0 {
		return "; there are no " + kind
	}
	const most = 16
	quoted := make([]string, 0, most)
	for _, k := range known[:min(len(known), most)] {
		quoted = append(quoted, fmt.Sprintf("%q", k))
	}
	more := ""
	if n := len(known) - len(quoted); n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("; the %s are %s%s", kind, strings.Join(quoted, ", "), more)
}

// Nearest is the one of known that name was probably meant to be, or "".
func Nearest(name string, known []string) string {
	// A third of the letters may be wrong; beyond that a guess is noise.
	best, least := "", max(1, len(name)/3)+1
	if len(name) > 100 {
		return "" // nobody's typing mistake
	}
	for _, k := range known {
		if len(k) > 100 {
			continue
		}
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least || d == least && best != "" && k < best {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, drop, replace or swap with their
// neighbour (optimal string alignment).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

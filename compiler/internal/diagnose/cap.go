package diagnose

import (
	"fmt"
	"slices"

	"camfleet.dev/compiler/object"
)

// most is how many problems one package shows: enough to work on, and a commit
// cannot make megabytes of them.
const most = 100

// Cap merges what is one mistake in something that many share (same place, same
// words), and bounds the rest.
func Cap(list []object.Problem) []object.Problem {
	list = slices.Clone(list)
	slices.SortStableFunc(list, object.Problem.Compare)
	var out []object.Problem
	count := map[object.Problem]int{}
	for _, p := range list {
		key := object.Problem{Site: p.Site, Position: p.Position, Message: p.Message}
		if count[key]++; count[key] == 1 || p.Line == 0 {
			out = append(out, p)
		}
	}
	for i, p := range out {
		if n := count[object.Problem{Site: p.Site, Position: p.Position, Message: p.Message}]; n > 1 && p.Line != 0 {
			out[i].Message += fmt.Sprintf(" (and %d more that share this line)", n-1)
		}
	}
	if len(out) > most {
		last := out[most]
		left := len(out) - most
		out = append(out[:most], object.Problem{Site: last.Site, Position: last.Position,
			Message: fmt.Sprintf("%d more problems from here on; put these right first", left)})
	}
	return out
}

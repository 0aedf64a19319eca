package status

import (
	"fmt"
	"strings"

	"camfleet.dev/reconciler/engine"
)

// HeldWords says what waits for approval: "3 deletions and 2 replacements wait
// for approval". What a replacement brings with it counts as a change.
func HeldWords(held []engine.Change) string {
	n := map[engine.Action]int{}
	for _, c := range held {
		n[c.Tried]++
	}
	var words []string
	for _, kind := range []struct {
		tried engine.Action
		word  string
	}{{"", "deletion"}, {engine.Replaced, "replacement"}, {engine.Configured, "change"}} {
		switch count := n[kind.tried]; {
		case count == 1:
			words = append(words, "1 "+kind.word)
		case count > 1:
			words = append(words, fmt.Sprintf("%d %ss", count, kind.word))
		}
	}
	text, verb := strings.Join(words, ", "), " wait for approval"
	if len(words) > 1 {
		last := len(words) - 1
		text = strings.Join(words[:last], ", ") + " and " + words[last]
	}
	if len(held) == 1 {
		verb = " waits for approval"
	}
	return text + verb
}

package engine

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Counts says how often each action occurs.
func (s ChangeSet) Counts() map[Action]int {
	counts := map[Action]int{}
	for _, c := range s.Changes {
		counts[c.Action]++
	}
	return counts
}

// Summary is the change set in one line: "3 created, 1 configured, 240 unchanged",
// and its price if it has one.
func (s ChangeSet) Summary() string {
	counts := s.Counts()
	var parts []string
	for _, a := range Actions() {
		if counts[a] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[a], a))
		}
	}
	if len(parts) == 0 {
		return "nothing to do: no objects"
	}
	if price := s.Price().String(); price != "" {
		return strings.Join(parts, ", ") + "; " + price
	}
	return strings.Join(parts, ", ")
}

// Of are the changes of one action.
func (s ChangeSet) Of(a Action) []Change {
	return slices.DeleteFunc(slices.Clone(s.Changes), func(c Change) bool { return c.Action != a })
}

// Changed leaves out what is unchanged.
func (s ChangeSet) Changed() ChangeSet {
	s.Changes = slices.DeleteFunc(slices.Clone(s.Changes), func(c Change) bool { return c.Action == Unchanged })
	return s
}

// String is one line per change and the summary.
func (s ChangeSet) String() string {
	var b strings.Builder
	_ = s.Table(&b, nil) // a Builder does not fail
	return b.String()
}

// String is the change in one line.
func (c Change) String() string {
	return strings.TrimRight(strings.Join(c.columns(), "  "), " ")
}

func (c Change) columns() []string {
	action, reason, source := string(c.Action), c.Reason, ""
	if c.Action == Failed && c.Tried != "" {
		reason = "not " + string(c.Tried) + ": " + reason
	}
	if planned := c.putOff(); planned != "" {
		reason = "to be " + string(planned) + ": " + reason
	}
	if c.Source != nil && c.Source.File != "" {
		source = c.Source.String()
	}
	return []string{action, c.ID.String(), source, strings.ReplaceAll(reason, "\n", "; ")}
}

// putOff is what a change is that waits, or that is held; "" for any other.
func (c Change) putOff() Action {
	switch {
	case c.Action == Held && c.Tried == "":
		return Deleted
	case c.Action == Held || c.Action == Waiting:
		return c.Tried
	}
	return ""
}

// Table writes one aligned line per change that is not Unchanged, then why
// something is held (once for all that share the reason), then the summary.
// colour, if not nil, wraps the action's word in what a terminal needs; it must
// not change its width on the screen.
func (s ChangeSet) Table(w io.Writer, colour func(Action, string) string) error {
	changed := s.Changed().Changes
	var width [3]int
	var held []string
	for _, c := range changed {
		if c.Action == Held && !slices.Contains(held, c.Reason) {
			held = append(held, c.Reason)
		}
		for i, col := range c.columns()[:3] {
			width[i] = max(width[i], utf8.RuneCountInString(col))
		}
	}
	for _, c := range changed {
		cols := c.columns()
		if c.Action == Held {
			cols[3] = "to be " + string(c.putOff())
		}
		for i := range width {
			cols[i] += strings.Repeat(" ", width[i]-utf8.RuneCountInString(cols[i]))
		}
		if colour != nil {
			cols[0] = colour(c.Action, cols[0])
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(strings.Join(cols, "  "), " ")); err != nil {
			return fmt.Errorf("writing changes: %w", err)
		}
	}
	tail := s.Summary()
	for i := range held {
		tail = "held: " + held[len(held)-1-i] + "\n" + tail
	}
	if _, err := fmt.Fprintln(w, tail); err != nil {
		return fmt.Errorf("writing changes: %w", err)
	}
	return nil
}

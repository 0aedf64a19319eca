package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"camfleet.dev/compiler/object"
)

// Difference is what a plan would change, field by field, for people and for
// programs. What may be a secret is left out.
type Difference struct {
	Commit  string       `json:"commit"`
	Objects []ObjectDiff `json:"objects"` // those that change, sorted
	Summary string       `json:"summary"`
	Price   Price        `json:"price"`
}

// ObjectDiff is the change of one object.
type ObjectDiff struct {
	Change
	// Fields are those that differ, sorted; none for an object that is created
	// or deleted as a whole.
	Fields []FieldDiff `json:"fields,omitempty"`
}

// FieldDiff is one field of an object. What holds a secret is "(redacted)".
type FieldDiff struct {
	Path string          `json:"path"`
	Old  json.RawMessage `json:"old,omitempty"` // nil: there is none
	New  json.RawMessage `json:"new,omitempty"`
}

// Diff compares what is live with what a plan wants. It is as pure as the plan
// is, and asks nobody.
func Diff(plan ChangeSet) Difference {
	d := Difference{Commit: plan.Commit, Objects: []ObjectDiff{}, Summary: plan.Summary(), Price: plan.Price()}
	for _, c := range plan.Changed().Changes {
		o := ObjectDiff{Change: c}
		if c.step.Want != nil && c.step.Live != nil {
			o.Fields = fieldDiffs(c.Kind, c.step.Live.Body, c.step.Want.Body)
		}
		d.Objects = append(d.Objects, o)
	}
	return d
}

func fieldDiffs(kind string, live, want json.RawMessage) []FieldDiff {
	a, errA := decode(live)
	b, errB := decode(want)
	if errA != nil || errB != nil {
		return nil // the reason says it
	}
	var out []FieldDiff
	for _, f := range compare(redacted(kind, a), redacted(kind, b)) {
		if f.path == fieldName("metadata.annotations", object.AnnotationHash) {
			continue // it tells nobody anything
		}
		out = append(out, FieldDiff{Path: f.path, Old: encode(f.old), New: encode(f.new)})
	}
	return out
}

func encode(v any) json.RawMessage {
	if v == (any)(absent{}) {
		return nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil // it was decoded from JSON
	}
	return bytes.TrimSpace(b.Bytes())
}

// Write writes the difference as text, the summary last. colour, if not nil,
// wraps the line of an object, and what was and what is of a long value (as of
// something deleted and created), in what a terminal needs.
func (d Difference) Write(w io.Writer, colour func(Action, string) string) error {
	if colour == nil {
		colour = func(_ Action, line string) string { return line }
	}
	var b strings.Builder
	for _, o := range d.Objects {
		o.write(&b, colour)
	}
	b.WriteString(d.Summary + "\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing the difference: %w", err)
	}
	return nil
}

// sign is how the kind of a change is shown: + - ~ ± as in a plan, ! for what
// failed. What is put off has the sign of what it waits for, in parentheses.
func sign(a Action) string {
	switch a {
	case Created:
		return "+"
	case Deleted:
		return "-"
	case Configured:
		return "~"
	case Replaced:
		return "±"
	case Failed:
		return "!"
	}
	return " "
}

func (o ObjectDiff) write(b *strings.Builder, colour func(Action, string) string) {
	mark := sign(o.Action)
	if o.Action == Held || o.Action == Waiting {
		mark = "(" + sign(o.putOff()) + ")"
	}
	cols := o.columns()
	line := mark + " " + cols[1] + "  " + cols[0]
	if cols[2] != "" {
		line += "  " + cols[2]
	}
	b.WriteString(colour(o.Action, line) + "\n")
	if cols[3] != "" && (o.Action != Created || o.Reason != isNew) { // the line above says so
		b.WriteString("    " + cols[3] + "\n")
	}
	for _, f := range o.Fields {
		f.write(b, colour)
	}
}

// inline is how long a value may be to stand in the line of its field.
const inline = 60

func (f FieldDiff) write(b *strings.Builder, colour func(Action, string) string) {
	was, is := lines(f.Old), lines(f.New)
	if len(was) <= 1 && len(is) <= 1 && utf8.RuneCount(f.Old) <= inline && utf8.RuneCount(f.New) <= inline {
		fmt.Fprintf(b, "      %s: %s → %s\n", printable(f.Path), value(f.Old), value(f.New))
		if bytes.Equal(f.Old, f.New) {
			b.WriteString("        (what differs is redacted)\n")
		}
		return
	}
	fmt.Fprintf(b, "      %s:\n", printable(f.Path))
	if bytes.Equal(f.Old, f.New) {
		b.WriteString("        (what differs is redacted)\n")
		return
	}
	was, is = middle(was, is)
	write := func(a Action, lines []string) {
		for i, l := range lines {
			if i == maxLines {
				fmt.Fprintf(b, "        … %d more lines\n", len(lines)-i)
				return
			}
			b.WriteString(colour(a, "      "+sign(a)+" "+cut(l)) + "\n")
		}
	}
	write(Deleted, was)
	write(Created, is)
}

// How much of a long value is shown; JSON has all of it.
const (
	maxLines = 12
	maxLine  = 160
)

func cut(line string) string {
	if r := []rune(printable(line)); len(r) > maxLine {
		return string(r[:maxLine]) + " …"
	}
	return printable(line)
}

func value(v json.RawMessage) string {
	if v == nil {
		return "(none)"
	}
	return string(v)
}

// lines are the lines of a text, or one line of JSON; none for a value that is not there.
func lines(v json.RawMessage) []string {
	var text string
	switch {
	case v == nil:
		return nil
	case json.Unmarshal(v, &text) == nil && strings.Contains(text, "\n"):
		return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	}
	return []string{string(v)}
}

// middle leaves out the lines that both begin and end with.
func middle(a, b []string) ([]string, []string) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}

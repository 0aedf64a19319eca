package diagnose

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"

	"camfleet.dev/compiler/object"
)

func (w *walker) unknown(at path, known []field) {
	place, _ := w.ix.exact(at)
	pos := place.label
	if pos.File == "" {
		pos = w.ix.nearest(at)
	}
	w.decide(at, pos, fmt.Sprintf("unknown field %q%s", at.last(), DidYouMean(at.last(), fieldNames(known), "fields")))
}

func (w *walker) missing(at path, t reflect.Type) {
	message := fmt.Sprintf("%q is missing", at.last())
	if words := hints()[t.Name()+"."+at.last()]; words != "" {
		message += "; it " + words
	}
	w.decide(at, w.ix.nearest(at[:len(at)-1]), message)
}

func (w *walker) notStruct(v cue.Value, t reflect.Type, at path) {
	err := v.Validate(cue.Concrete(true))
	place, ok := w.ix.exact(at)
	if !ok || place.text == "" || strings.HasPrefix(place.text, "{") {
		w.take(err, at)
		return
	}
	what := "names and what they stand for"
	if t.Kind() == reflect.Struct {
		what = strings.Join(fieldNames(fieldsOf(t)), ", ")
	}
	w.decide(at, place.value, fmt.Sprintf("must be a struct {…} with %s, not %s", what, shown(place.text)))
}

func (w *walker) decide(at path, pos object.Position, message string) {
	w.group(at).problem = &object.Problem{Position: pos, Path: at.String(), Message: message}
}

// problems makes one problem of each group.
func (w *walker) problems() []object.Problem {
	var list []object.Problem
	for _, g := range w.order {
		if p := g.problem; p != nil {
			list = append(list, *p)
			continue
		}
		if w.covered(g) {
			continue
		}
		for _, r := range g.choose() {
			list = append(list, object.Problem{
				Position: w.place(g.path, r),
				Path:     g.path.String(),
				Message:  w.words(g.path, r),
			})
		}
	}
	return list
}

// covered reports that a parent of g has been explained: what CUE says about
// its children follows from it.
func (w *walker) covered(g *group) bool {
	for n := 1; n < len(g.path); n++ {
		if parent := w.groups[g.path[:n].String()]; parent != nil && parent.problem != nil {
			return true
		}
	}
	return false
}

var (
	disjunctionNoise = regexp.MustCompile(`^\d+ errors in empty disjunction`)
	conflict         = regexp.MustCompile(`^conflicting values `)
	ownWords         = regexp.MustCompile(`^must be `)
)

// choose picks what to say of everything that CUE says about one path. The
// schema's own words are best, unless the user gave two values, which is
// another mistake; then one of the others.
func (g *group) choose() []rawError {
	raw := slices.DeleteFunc(slices.Clone(g.raw), func(r rawError) bool { return disjunctionNoise.MatchString(r.message) })
	if len(g.path) == 0 {
		return raw
	}
	pick := func(f func(rawError) bool) []rawError {
		if i := slices.IndexFunc(raw, f); i >= 0 {
			return raw[i : i+1]
		}
		return nil
	}
	if r := pick(func(r rawError) bool { return conflict.MatchString(r.message) && len(r.literals()) == 2 }); r != nil && !g.hasValue() {
		return r
	}
	if r := pick(func(r rawError) bool { return ownWords.MatchString(r.message) }); r != nil {
		return r
	}
	if len(raw) > 1 {
		raw = raw[:1]
	}
	return raw
}

// hasValue reports that the schema's words are about a value of the user's: if
// they have no place, the values of two places have cancelled each other out.
func (g *group) hasValue() bool {
	return slices.ContainsFunc(g.raw, func(r rawError) bool { return ownWords.MatchString(r.message) && len(r.places) > 0 })
}

var conflicting = regexp.MustCompile(`^conflicting values ("(?:[^"\\]|\\.)*"|-?[0-9.]+|true|false) and ("(?:[^"\\]|\\.)*"|-?[0-9.]+|true|false)`)

// literals are the two values of a conflict between plain values.
func (r rawError) literals() []string {
	if m := conflicting.FindStringSubmatch(r.message); m != nil {
		return m[1:]
	}
	return nil
}

// place prefers what the syntax says; then the last place that CUE names,
// which is the innermost; then the parent.
func (w *walker) place(at path, r rawError) object.Position {
	if p, ok := w.ix.exact(at); ok {
		return p.value
	}
	if n := len(r.places); n > 0 {
		return r.places[n-1]
	}
	return w.ix.nearest(at)
}

var quoted = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

func (w *walker) words(at path, r rawError) string {
	place, _ := w.ix.exact(at)
	switch {
	case ownWords.MatchString(r.message):
		return explain(r.message, place.text)
	case r.literals() != nil && len(r.places) >= 2:
		last := r.places[len(r.places)-1]
		return fmt.Sprintf("has two different values (the other is at %s); keep one", other(r.places, place.value, last))
	}
	return Redact(shorten(r.message))
}

func other(places []object.Position, own, last object.Position) object.Position {
	if last != own {
		return last
	}
	return places[len(places)-2]
}

// explain adds the value that was given to the schema's words, and for an enum
// what was probably meant. A URL is never repeated: it may hold a password.
func explain(words, text string) string {
	if text == "" || strings.Contains(text, "//") || strings.Contains(text, "@") || len(text) > 60 {
		return words
	}
	message := words + ", not " + text
	given, err := strconv.Unquote(text)
	if err != nil || !strings.HasPrefix(words, `must be "`) {
		return message
	}
	var allowed []string
	for _, m := range quoted.FindAllStringSubmatch(words, -1) {
		allowed = append(allowed, m[1])
	}
	if best := Nearest(given, allowed); best != "" {
		message += fmt.Sprintf("; did you mean %q?", best)
	}
	return message
}

func shown(text string) string {
	return Redact(shorten(text))
}

const longest = 300

// shorten keeps a message readable: CUE prints whole definitions.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > longest {
		return string(r[:longest]) + "…"
	}
	return s
}

var userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s"']*@`)

// Redact takes user and password out of every URL in a message.
func Redact(s string) string { return userinfo.ReplaceAllString(s, "${1}…@") }

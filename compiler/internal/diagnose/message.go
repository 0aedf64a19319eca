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
	place, ok := w.ix.exact(at)
	pos := place.label
	if !ok {
		pos = w.ix.nearest(at)
	}
	name := at.last()
	if slices.Contains([]string{"user", "username", "password", "pass"}, name) && slices.Contains(fieldNames(known), "credentials") {
		w.decide(at, pos, fmt.Sprintf("unknown field %q; passwords are never in Git: name a Secret with username and password in credentials: secret", name))
		return
	}
	w.decide(at, pos, fmt.Sprintf("unknown field %q%s", name, DidYouMean(name, fieldNames(known), "fields")))
}

func (w *walker) missing(at path, t reflect.Type) {
	message := fmt.Sprintf("%q is missing", at.last())
	if words := hints()[t.Name()+"."+at.last()]; words != "" {
		message += "; it " + words
	} else if f, ok := Member(t, at.last()); ok && deref(f).Kind() == reflect.Struct {
		message += "; it is a struct {…} with " + strings.Join(fieldNames(fieldsOf(deref(f))), ", ")
	}
	w.decide(at, w.ix.nearest(at[:len(at)-1]), message)
}

func (w *walker) notStruct(v cue.Value, t reflect.Type, at path) {
	what := "of names"
	if t.Kind() == reflect.Struct {
		what = "with " + strings.Join(fieldNames(fieldsOf(t)), ", ")
	}
	w.wrongKind(v, at, "{", "must be a struct {…} "+what)
}

func (w *walker) notList(v cue.Value, at path) {
	w.wrongKind(v, at, "[", "must be a list […]")
}

// wrongKind is about a plain value where a struct or a list belongs. If it is
// not plain, it is CUE's to explain.
func (w *walker) wrongKind(v cue.Value, at path, opening, message string) {
	place, ok := w.ix.exact(at)
	if !ok || place.text == "" || strings.HasPrefix(place.text, opening) {
		w.take(v.Validate(cue.Concrete(true)), at)
		return
	}
	if !sensitive(at) {
		message += ", not " + shorten(place.text)
	}
	w.decide(at, place.value, message)
}

func (w *walker) decide(at path, pos object.Position, message string) {
	w.group(at).problem = &object.Problem{Position: pos, Path: at.String(), Message: message}
}

// problems makes one problem of each group.
func (w *walker) problems() []object.Problem {
	var list []object.Problem
	for _, g := range w.order {
		if w.root != "" && w.rootFailed() && len(g.path) > 1 {
			continue
		}
		if p := g.problem; p != nil {
			p.Path, p.Message = Redact(p.Path), Redact(p.Message)
			list = append(list, *p)
			continue
		}
		if w.covered(g) {
			continue
		}
		for _, r := range g.choose() {
			list = append(list, object.Problem{
				Position: w.place(g.path, r),
				Path:     Redact(g.path.String()),
				Message:  Redact(w.words(g.path, r)),
			})
		}
	}
	return list
}

// rootFailed reports that the package's field itself could not be evaluated:
// everything else follows from that.
func (w *walker) rootFailed() bool {
	g := w.groups[w.root]
	return g != nil && slices.ContainsFunc(g.raw, func(r rawError) bool { return r.evaluation() })
}

// evaluation reports that this is a mistake in an expression, and not a value
// that does not fit.
func (r rawError) evaluation() bool {
	return !mismatch.MatchString(r.message) && !ownWords.MatchString(r.message) && !disjunctionNoise.MatchString(r.message)
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
	mismatch         = regexp.MustCompile(`^(conflicting values|invalid value|incomplete value|field not allowed|non-concrete value|cannot use value)|field is required but not present|^explicit error`)
	ownWords         = regexp.MustCompile(`^must be `)
)

// choose picks what to say of everything that CUE says about one path: first a
// mistake of evaluation (a wrong operand, a missing reference); then two values
// given at once; then the schema's own words.
func (g *group) choose() []rawError {
	raw := slices.DeleteFunc(slices.Clone(g.raw), func(r rawError) bool { return disjunctionNoise.MatchString(r.message) })
	if len(g.path) == 0 {
		return raw
	}
	for _, better := range []func(rawError) bool{
		rawError.evaluation,
		func(r rawError) bool { return r.literals() != nil && !g.hasValue() },
		func(r rawError) bool { return ownWords.MatchString(r.message) },
	} {
		if i := slices.IndexFunc(raw, better); i >= 0 {
			return raw[i : i+1]
		}
	}
	return raw[:min(len(raw), 1)]
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

// place prefers what the syntax says; then what the value itself says; then the
// last place that CUE names, which is the innermost; then the parent.
func (w *walker) place(at path, r rawError) object.Position {
	if p, ok := w.ix.exact(at); ok {
		return p.value
	}
	if p, ok := w.ix.extra[at.String()]; ok {
		return p
	}
	if n := len(r.places); n > 0 {
		return r.places[n-1]
	}
	return w.ix.nearest(at)
}

var quoted = regexp.MustCompile(`"((?:[^"\\]|\\.)*)"`)

func (w *walker) words(at path, r rawError) string {
	place, _ := w.ix.exact(at)
	text := place.text
	if sensitive(at) {
		text = ""
	}
	switch {
	case ownWords.MatchString(r.message) && at.last() == "url" && userinfo.MatchString(place.text):
		return "holds a user or a password, which are never in Git: take them out, name a Secret in credentials (`credentials: secret: \"cameras\"`), and give the camera a new password, for this one stays in Git's history"
	case ownWords.MatchString(r.message):
		return explain(r.message, text)
	case r.literals() != nil && len(r.places) >= 2:
		last := r.places[len(r.places)-1]
		return fmt.Sprintf("has two different values (the other is at %s); keep one", other(r.places, place.value, last))
	case strings.HasPrefix(r.message, "incomplete value"):
		return "has no single value: a choice, a constraint or a type is left (two defaults cancel each other out); give it one"
	case sensitive(at):
		return shorten(quoted.ReplaceAllString(r.message, `"…"`))
	}
	return wayOut(undefined(shorten(loaderPrefix.ReplaceAllString(r.message, ""))))
}

var (
	loaderPrefix    = regexp.MustCompile(`^(import failed: )?([^ :]+:\d+:\d+: )?`)
	undefinedSchema = regexp.MustCompile(`^undefined field: (#\w+)$`)
)

// undefined adds what was probably meant to a definition that the schema does
// not have.
func undefined(message string) string {
	if m := undefinedSchema.FindStringSubmatch(message); m != nil {
		return message + DidYouMean(m[1], definitions(), "schema's definitions")
	}
	return message
}

// sensitive reports whether a value at this path may hold a password, because
// somebody wrote it where a Secret's name belongs.
func sensitive(at path) bool {
	return slices.ContainsFunc(at, func(label string) bool {
		return slices.Contains([]string{"url", "credentials", "auth", "secret", "pullSecret", "tlsSecret", "password"}, label)
	})
}

func other(places []object.Position, own, last object.Position) object.Position {
	if last != own {
		return last
	}
	return places[len(places)-2]
}

// explain adds the value that was given to the schema's words, and for an enum
// what was probably meant.
func explain(words, text string) string {
	if text == "" || len(text) > 60 {
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

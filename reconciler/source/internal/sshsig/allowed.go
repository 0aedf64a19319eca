package sshsig

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Allowed is whose keys count: a file in ssh-keygen's allowed_signers format.
//
//	alice@example.org,bob@example.org namespaces="git",valid-before="20270101Z" ssh-ed25519 AAAA… comment
type Allowed struct {
	Signers []Signer
	// Ignored are the lines that give nobody any right, because they are not
	// understood; a line can only add rights, so going on without it is safe.
	Ignored []error
}

// Signer is one line of the file.
type Signer struct {
	Line       int
	Principals string // who: a list of patterns
	Key        ssh.PublicKey
	Namespaces string // a list of patterns; "" is any
	// After and Before bound when it may have signed; zero is no bound.
	After, Before time.Time
}

// maxAllowed is far over what thousands of signers need.
const maxAllowed = 1 << 20

// ParseAllowed reads the file's content. Times without a Z are of zone, as
// ssh-keygen takes them for the machine's.
func ParseAllowed(content []byte, zone *time.Location) (Allowed, error) {
	if len(content) > maxAllowed {
		return Allowed{}, fmt.Errorf("the list of allowed signers has %d bytes, at most %d are read", len(content), maxAllowed)
	}
	var all Allowed
	for i, line := range bytes.Split(content, []byte("\n")) {
		text := strings.Trim(string(line), " \t\r")
		if text == "" || text[0] == '#' {
			continue
		}
		s, err := parseSigner(text, zone)
		if err != nil {
			all.Ignored = append(all.Ignored, fmt.Errorf("line %d: %w", i+1, err))
			continue
		}
		s.Line = i + 1
		all.Signers = append(all.Signers, s)
	}
	return all, nil
}

// Of are the lines with a key.
func (a Allowed) Of(key ssh.PublicKey) []Signer {
	var of []Signer
	for _, s := range a.Signers {
		if bytes.Equal(s.Key.Marshal(), key.Marshal()) {
			of = append(of, s)
		}
	}
	return of
}

// Name is who signed, when only one can have.
func (s Signer) Name() string {
	if strings.ContainsAny(s.Principals, "*?!") {
		return ""
	}
	return s.Principals
}

// Errors of Permits.
var (
	ErrNamespace = errors.New("the key may not sign that")
	ErrTime      = errors.New("the key was not valid then")
)

// Permits says why the key does not count for what was signed for namespace at a time.
func (s Signer) Permits(namespace string, at time.Time) error {
	switch {
	case s.Namespaces != "" && !matchList(namespace, s.Namespaces):
		return fmt.Errorf("%w: it is listed for %s only, not for %s", ErrNamespace, s.Namespaces, namespace)
	case !s.After.IsZero() && at.Before(s.After):
		return fmt.Errorf("%w: it is valid from %s on, and the commit is dated %s", ErrTime, show(s.After), show(at))
	case !s.Before.IsZero() && !at.Before(s.Before):
		return fmt.Errorf("%w: it was valid until %s, and the commit is dated %s", ErrTime, show(s.Before), show(at))
	}
	return nil
}

func show(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// parseSigner reads a line: principals, options, key, comment.
func parseSigner(line string, zone *time.Location) (Signer, error) {
	var s Signer
	var err error
	var rest string
	if s.Principals, rest, err = word(line); err != nil {
		return s, err
	}
	s.Principals = strings.ReplaceAll(s.Principals, `"`, "")
	if s.Principals == "" {
		return s, errors.New("it begins with nobody's name")
	}
	options, afterOptions, err := word(rest)
	if err != nil {
		return s, err
	}
	if _, known := kinds[options]; !known && !strings.HasPrefix(options, "ssh-") && !strings.HasPrefix(options, "ecdsa-") {
		if err := s.options(options, zone); err != nil {
			return s, err
		}
		rest = afterOptions
	}
	// The rest has the form of a line of authorized_keys; options have their
	// place before, and ssh would drop those that it finds here.
	key, _, dropped, _, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil || len(dropped) > 0 {
		return s, errors.New("it holds no key: write NAME ssh-ed25519 AAAA…")
	}
	s.Key = key
	return s, checkKey(key)
}

// word takes the first word off; quotes keep blanks and commas in it.
func word(s string) (first, rest string, err error) {
	quoted := false
	for i, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case (r == ' ' || r == '\t') && !quoted:
			return s[:i], strings.TrimLeft(s[i:], " \t"), nil
		}
	}
	if quoted {
		return "", "", errors.New(`a " is not closed`)
	}
	return s, "", nil
}

// options reads a list like namespaces="git",valid-before="20270101Z".
func (s *Signer) options(list string, zone *time.Location) error {
	for list != "" {
		option := list
		if i := endOfOption(list); i < len(list) {
			option, list = list[:i], list[i+1:]
		} else {
			list = ""
		}
		name, value, _ := strings.Cut(option, "=")
		value, quoted := strings.CutPrefix(value, `"`)
		value, closed := strings.CutSuffix(value, `"`)
		if err := s.option(strings.ToLower(name), value, quoted && closed, zone); err != nil {
			return err
		}
	}
	if !s.After.IsZero() && !s.Before.IsZero() && !s.After.Before(s.Before) {
		return errors.New("valid-before is not after valid-after")
	}
	return nil
}

func endOfOption(list string) int {
	quoted := false
	for i, r := range list {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ',' && !quoted:
			return i
		}
	}
	return len(list)
}

func (s *Signer) option(name, value string, quoted bool, zone *time.Location) (err error) {
	switch {
	case name == "cert-authority":
		return errors.New("cert-authority is not supported: list each signer's own key")
	case name != "namespaces" && name != "valid-after" && name != "valid-before":
		return fmt.Errorf("option %q is not known", name)
	case !quoted || value == "":
		return fmt.Errorf(`option %s: write %s="…"`, name, name)
	case name == "namespaces" && s.Namespaces == "":
		s.Namespaces = value
	case name == "valid-after" && s.After.IsZero():
		s.After, err = parseTime(value, zone)
	case name == "valid-before" && s.Before.IsZero():
		s.Before, err = parseTime(value, zone)
	default:
		return fmt.Errorf("option %s is there twice", name)
	}
	return err
}

// parseTime reads YYYYMMDD[HHMM[SS]][Z].
func parseTime(value string, zone *time.Location) (time.Time, error) {
	digits, utc := strings.CutSuffix(value, "Z")
	if utc {
		zone = time.UTC
	}
	form := map[int]string{8: "20060102", 12: "200601021504", 14: "20060102150405"}[len(digits)]
	t, err := time.ParseInLocation(form, digits, cmp.Or(zone, time.UTC))
	if err != nil || form == "" {
		return time.Time{}, fmt.Errorf("time %q: write YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with Z for UTC", value)
	}
	return t, nil
}

// matchList says whether a name matches a list of patterns, where ! excludes.
func matchList(name, list string) bool {
	found := false
	for pattern := range strings.SplitSeq(list, ",") {
		pattern, not := strings.CutPrefix(pattern, "!")
		if !match(name, pattern) {
			continue
		}
		if not {
			return false
		}
		found = true
	}
	return found
}

// match knows * and ?, and is linear but for the last *.
func match(name, pattern string) bool {
	n, p, star, from := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			n, p = n+1, p+1
		case star >= 0:
			from++
			n, p = from, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

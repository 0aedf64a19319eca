package source

import "strings"

// Refusal is a file that a commit may not have; File is "" for the commit as a whole.
type Refusal struct{ File, Why string }

// RefusedError is a commit that is refused as a whole, for all these reasons.
// It is not read again: only another commit can be better.
type RefusedError struct {
	Commit string
	Files  []Refusal
}

func (e *RefusedError) Error() string {
	lines := make([]string, len(e.Files))
	for i, f := range e.Files {
		lines[i] = strings.TrimPrefix(f.File+" "+f.Why, " ")
	}
	return strings.Join(lines, "; ")
}

// refuse refuses a commit as a whole.
func refuse(why string) error { return &RefusedError{Files: []Refusal{{Why: why}}} }

// Cause says in a word why a commit's signature does not count.
type Cause string

// The causes.
const (
	Unsigned       Cause = "Unsigned"
	Unsupported    Cause = "Unsupported"    // PGP, X.509
	BadSignature   Cause = "BadSignature"   // damaged, or of a kind that is too weak
	UnknownKey     Cause = "UnknownKey"     // not in the list of allowed signers
	WrongNamespace Cause = "WrongNamespace" // the signature, or the key, is for something else
	Altered        Cause = "Altered"        // other content than was signed
	Expired        Cause = "Expired"        // outside of valid-after and valid-before
)

// UnverifiedError is a commit that is held because of its signature. It is
// verified again when the list of allowed signers changes.
type UnverifiedError struct {
	Commit string
	Cause  Cause
	Why    string
}

func (e *UnverifiedError) Error() string { return "it is held: " + e.Why }

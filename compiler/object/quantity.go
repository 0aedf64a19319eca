package object

import "strings"

// Modest tells whether a Kubernetes quantity is of a size that somebody may
// mean. To read 1e-999999999, or to compare 1e999999999 with anything, takes a
// thousand million digits, and hours: ask this before either.
func Modest(quantity string) bool {
	const digits, exponent = 40, 2
	at := strings.IndexAny(quantity, "eE")
	return len(quantity) <= digits && (at < 0 || len(strings.TrimLeft(quantity[at+1:], "+-0")) <= exponent)
}

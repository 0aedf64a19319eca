package compiler

import (
	_ "embed"
	"slices"
	"strings"
)

// zoneNames are the time zones of the Go distribution (and so of time/tzdata),
// sorted. time.LoadLocation asks the host's files first, so that a compile would
// depend on the machine that it runs on. A test holds the list to the
// distribution's.
//
//go:embed zones.txt
var zoneNames string

func zones() []string { return strings.Fields(zoneNames) }

// zoneExists reports whether name is a time zone.
func zoneExists(name string) bool {
	_, ok := slices.BinarySearch(zones(), name)
	return ok
}

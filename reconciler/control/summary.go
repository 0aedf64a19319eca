package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"camfleet.dev/reconciler/status"
	"camfleet.dev/workers/archive"
)

// most lines of one kind in a summary.
const most = 20

// summary is a status for people who have kubectl and nothing else.
func summary(s status.Status) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", s.State)
	if s.Suspended != nil {
		line("suspended since %s: %s", s.Suspended.Since.UTC().Format(time.RFC3339), s.Suspended.Reason)
	}
	if s.Commit != "" {
		line("commit %s of %s: %s", short(s.Commit), s.Time.UTC().Format(time.RFC3339), s.Subject)
	}
	if s.Summary != "" {
		line("last sync: %s", s.Summary)
	}
	for _, e := range []struct{ what, text string }{
		{"the repository cannot be read", s.FetchError}, {"the commit cannot be compiled", s.CompileError}, {"the cluster cannot be read", s.TargetError},
		{"the newest commit is held", s.Unverified},
	} {
		if e.text != "" {
			line("%s: %s", e.what, e.text)
		}
	}
	b.WriteString(cameras(s.Cameras))
	if len(s.Held) > 0 {
		line("%s, the first: %s: %s", status.HeldWords(s.Held), s.Held[0].ID, s.Held[0].Reason) // which says how
	}
	list(&b, "problem", s.Problems, func(p int) string { return s.Problems[p].Error() })
	list(&b, "failed", s.Failed, func(i int) string { return s.Failed[i].ID.String() + ": " + s.Failed[i].Reason })
	list(&b, "not well", s.Health, func(i int) string { return s.Health[i].ID.String() + ": " + s.Health[i].Message })
	list(&b, "warning", s.Warnings, func(i int) string { return s.Warnings[i] })
	return b.String()
}

func list[T any](b *strings.Builder, what string, all []T, text func(int) string) {
	for i := range all[:min(len(all), most)] {
		fmt.Fprintf(b, "%s: %s\n", what, text(i))
	}
	if more := len(all) - most; more > 0 {
		fmt.Fprintf(b, "%s: and %d more\n", what, more)
	}
}

// cameras counts cameras by state, and names those that are not live.
func cameras(all []status.Camera) string {
	count := map[string]int{}
	var off []status.Camera
	for _, c := range all {
		count[c.State]++
		if c.State != string(archive.Live) && c.State != string(archive.Disabled) {
			off = append(off, c)
		}
	}
	var words []string
	for _, state := range slices.Sorted(maps.Keys(count)) {
		words = append(words, fmt.Sprintf("%d %s", count[state], state))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d cameras: %s\n", len(all), strings.Join(words, ", "))
	list(&b, "camera", off, func(i int) string {
		return strings.TrimSuffix(fmt.Sprintf("%s/%s is %s: %s", off[i].Site, off[i].Name, off[i].State, off[i].Message), ": ")
	})
	return b.String()
}

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
)

func (a *app) statusCommand() *cobra.Command {
	var flags operatorFlags
	var format string
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how a fleet is",
		Long: `status says which commit a fleet has, how each camera and node is, what is wrong
with the newest commit, and what waits for whom.

Exit codes: 0 all is as the commit says, 1 something is not, 2 called wrongly.
` + operatorHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return usage("unknown output %q: text or json", format)
			}
			o, err := flags.choose(cmd)
			if err != nil {
				return err
			}
			if watch {
				return a.watchStatus(cmd.Context(), o, format)
			}
			s, note, err := o.Status(cmd.Context())
			if err != nil {
				return err
			}
			if note != "" {
				fmt.Fprintln(a.stderr, "camfleet:", note)
			}
			if err := printStatus(a.stdout, s, format, terminal(a.stdout), time.Now()); err != nil {
				return fmt.Errorf("printing: %w", err)
			}
			if s.State != status.Synced || note != "" { // nobody knows whether it still is
				return &exitError{code: exitFailed}
			}
			return nil
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVarP(&format, "output", "o", "text", "text or json")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it again whenever it changes, until Ctrl-C")
	return cmd
}

func printStatus(w io.Writer, s status.Status, format string, colour bool, now time.Time) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(s)
	}
	var b strings.Builder
	printSource(&b, s, now)
	printProblems(&b, s.Problems)
	printFailed(&b, s.Failed)
	printHeld(&b, s.Held)
	printReasons(&b, "waiting", s.Waiting)
	for _, h := range s.Health {
		fmt.Fprintf(&b, "%s: %s: %s\n", h.State, h.ID, h.Message)
	}
	printNodes(&b, s.Nodes)
	for _, warning := range s.Warnings {
		fmt.Fprintf(&b, "%s (warning)\n", warning)
	}
	printCameras(&b, s.Cameras, colour, now)
	_, err := io.WriteString(w, b.String())
	return err
}

// printSource says which commit the fleet has, and why it has not the newest one.
func printSource(b io.Writer, s status.Status, now time.Time) {
	fmt.Fprintf(b, "%s", s.State)
	if s.State == status.Held && len(s.Problems) > 0 {
		fmt.Fprint(b, " and broken")
	}
	if s.Commit != "" {
		fmt.Fprintf(b, " at commit %.12s (%s), %s old", s.Commit, s.Subject, age(now.Sub(s.Time)))
	}
	fmt.Fprintf(b, "\nfrom %s", s.Source)
	if s.Cluster != "" {
		fmt.Fprintf(b, " for cluster %s", s.Cluster)
	}
	if s.Signer != "" {
		fmt.Fprintf(b, ", signed by %s", s.Signer)
	}
	fmt.Fprintln(b)
	if s.Suspended != nil {
		fmt.Fprintf(b, "suspended since %s: %s\n", s.Suspended.Since.UTC().Format("2006-01-02 15:04 UTC"), cmp.Or(s.Suspended.Reason, "no reason was given"))
	}
	if p := s.Pending; p != nil {
		verb := "is being applied"
		if s.Suspended != nil {
			verb = "would be applied"
		}
		fmt.Fprintf(b, "commit %.12s (%s) %s: %s\n", p.Commit, p.Subject, verb, p.Summary)
	}
	notFetched := s.FetchError
	if s.Refused != nil {
		fmt.Fprintf(b, "commit %.12s is refused; nothing of it is applied:\n", s.Refused.Commit)
		printProblems(b, s.Refused.Problems)
		notFetched = "" // it says the same
	}
	for _, line := range []struct{ what, why string }{
		{"not fetched", notFetched},
		{"held", s.Unverified},
		{"not compiled", s.CompileError},
		{"the cluster cannot be read", s.TargetError},
	} {
		if line.why != "" {
			fmt.Fprintf(b, "%s: %s\n", line.what, line.why)
		}
	}
}

// printNodes names the nodes that are not as they should be.
func printNodes(b io.Writer, nodes []status.Node) {
	for _, n := range nodes {
		if n.Message != "" {
			fmt.Fprintf(b, "node %s: %s\n", n.Name, n.Message)
		}
	}
}

// printHeld says each reason once, and whose cameras it keeps; -o json has every object.
func printHeld(b io.Writer, held []engine.Change) { printReasons(b, "held", held) }

// manyFailed is how many objects may fail for one reason and still be named each.
const manyFailed = 3

// printFailed names what failed; when much fails for one reason, that is said once.
func printFailed(b io.Writer, failed []engine.Change) {
	of := map[string]int{}
	for _, c := range failed {
		of[c.Reason]++
	}
	var many []engine.Change
	for _, c := range failed {
		if of[c.Reason] > manyFailed {
			many = append(many, c)
			continue
		}
		fmt.Fprintln(b, c.String())
	}
	printReasons(b, "failed", many)
}

// printReasons is printHeld for changes that something else is the matter with.
func printReasons(b io.Writer, what string, held []engine.Change) {
	var reasons []string
	objects, cameras := map[string]int{}, map[string][]string{}
	for _, c := range held {
		if objects[c.Reason]++; objects[c.Reason] == 1 {
			reasons = append(reasons, c.Reason)
		}
		name := c.Site + "/" + c.Camera
		if c.Camera != "" && !slices.Contains(cameras[c.Reason], name) {
			cameras[c.Reason] = append(cameras[c.Reason], name)
		}
	}
	for _, reason := range reasons {
		fmt.Fprintf(b, "%s: %s\n  %s", what, reason, count(objects[reason], "object"))
		if names := cameras[reason]; len(names) > 0 {
			slices.Sort(names)
			fmt.Fprintf(b, " of %s", strings.Join(names, ", "))
		}
		fmt.Fprintln(b)
	}
}

func printCameras(b *strings.Builder, cameras []status.Camera, colour bool, now time.Time) {
	wide := 0
	for _, c := range cameras {
		wide = max(wide, len(c.Site)+1+len(c.Name))
	}
	if len(cameras) > 0 {
		fmt.Fprintln(b)
	}
	for _, c := range cameras {
		state := stateColour(colour, c.State, fmt.Sprintf("%-12s", c.State))
		fmt.Fprintf(b, "%-*s  %s  %5s  %s\n", wide, c.Site+"/"+c.Name, state, ago(now, c.Since), c.Message)
	}
}

// ago is how long ago something began, if that is known.
func ago(now, began time.Time) string {
	if began.IsZero() {
		return "-"
	}
	return age(now.Sub(began))
}

// age is a duration, roughly, as kubectl prints it.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

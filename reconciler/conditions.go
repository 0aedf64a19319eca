package reconciler

import (
	"fmt"
	"time"

	"camfleet.dev/reconciler/status"
)

// Types of conditions.
const (
	condApplied  = "Applied"  // the target is equal to the commit
	condCompiled = "Compiled" // the newest commit has no problems
	condFetched  = "Fetched"  // the repository answers
	condHealthy  = "Healthy"  // cameras, pages, days and nodes are well
	condVerified = "Verified" // the newest commit is signed by a listed key
)

const (
	isTrue    = "True"
	isFalse   = "False"
	isUnknown = "Unknown"
)

// conditions sum a status up, sorted by type. One that is as it was in old
// keeps its Since.
func conditions(s status.Status, old []status.Condition, now time.Time) []status.Condition {
	out := []status.Condition{applied(s), compiled(s), fetched(s), healthy(s), verified(s)}
	for i := range out {
		out[i].Since = now
		for _, o := range old {
			if o.Type == out[i].Type && o.Status == out[i].Status {
				out[i].Since = o.Since
			}
		}
	}
	return out
}

func condition(kind, is, reason, message string) status.Condition {
	return status.Condition{Type: kind, Status: is, Reason: reason, Message: message}
}

func fetched(s status.Status) status.Condition {
	switch {
	case s.FetchError != "":
		return condition(condFetched, isFalse, "FetchFailed", s.FetchError)
	case s.Fetched.IsZero():
		return condition(condFetched, isUnknown, "Starting", "")
	}
	return condition(condFetched, isTrue, "UpToDate", "")
}

func verified(s status.Status) status.Condition {
	switch {
	case s.Unverified != "":
		return condition(condVerified, isFalse, "NotSigned", s.Unverified)
	case s.Signer != "":
		return condition(condVerified, isTrue, "Signed", "by "+s.Signer)
	}
	return condition(condVerified, isUnknown, "NotAsked", "")
}

func compiled(s status.Status) status.Condition {
	switch {
	case s.CompileError != "":
		return condition(condCompiled, isFalse, "CompilerFailed", s.CompileError)
	case len(s.Problems) > 0:
		message := s.Problems[0].Error()
		if n := len(s.Problems) - 1; n > 0 {
			message += fmt.Sprintf(" (and %d more)", n)
		}
		return condition(condCompiled, isFalse, "Problems", message)
	case s.Commit == "" && s.Pending == nil:
		return condition(condCompiled, isUnknown, "Starting", "")
	}
	return condition(condCompiled, isTrue, "Compiled", "")
}

func applied(s status.Status) status.Condition {
	no := func(reason, message string) status.Condition { return condition(condApplied, isFalse, reason, message) }
	switch {
	case s.Suspended != nil:
		return no("Suspended", s.Suspended.Reason)
	case s.TargetError != "":
		return no("TargetUnreadable", s.TargetError)
	case len(s.Failed) > 0:
		return no("ObjectsFailed", fmt.Sprintf("%s; the first is %s: %s", number(len(s.Failed), "object"), s.Failed[0].ID, s.Failed[0].Reason))
	case len(s.Held) > 0:
		return no("Held", fmt.Sprintf("%s; the first is %s: %s", status.HeldWords(s.Held), s.Held[0].ID, s.Held[0].Reason))
	case s.Pending != nil:
		return no("Applying", "commit "+short(s.Pending.Commit)+": "+s.Pending.Summary)
	case s.Commit == "":
		return condition(condApplied, isUnknown, "Starting", "")
	case len(s.Problems) > 0:
		return no("Problems", "what the problems touch is as it was")
	case len(s.Waiting) > 0:
		return no("Waiting", fmt.Sprintf("%s; the first is %s: %s", number(len(s.Waiting), "object"), s.Waiting[0].ID, s.Waiting[0].Reason))
	}
	return condition(condApplied, isTrue, "Synced", "")
}

// wellStates are the states of a camera that nobody has to look at.
var wellStates = map[string]bool{"live": true, "disabled": true}

func healthy(s status.Status) status.Condition {
	cameras, nodes := 0, 0
	for _, c := range s.Cameras {
		if !wellStates[c.State] {
			cameras++
		}
	}
	for _, n := range s.Nodes {
		if n.Missing || !n.Ready {
			nodes++
		}
	}
	switch {
	case s.TargetError != "" && len(s.Cameras) == 0:
		return condition(condHealthy, isUnknown, "TargetUnreadable", s.TargetError)
	case cameras > 0:
		return condition(condHealthy, isFalse, "Cameras", fmt.Sprintf("%d of %d cameras are not live", cameras, len(s.Cameras)))
	case nodes > 0:
		return condition(condHealthy, isFalse, "Nodes", fmt.Sprintf("%d of %d nodes are not ready", nodes, len(s.Nodes)))
	case len(s.Health) > 0:
		return condition(condHealthy, isFalse, "Degraded", fmt.Sprintf("%s: %s", s.Health[0].ID, s.Health[0].Message))
	case s.Commit == "":
		return condition(condHealthy, isUnknown, "Starting", "")
	}
	return condition(condHealthy, isTrue, "Well", "")
}

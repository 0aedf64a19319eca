// Package health says how the cameras of a cluster are, and what else is not
// well: from what is observed anyway, and from asking the few workers whose
// Pods are not ready.
//
//	object.Result ─► Wanted ─┐
//	cluster.Observation ─────┼─► Cameras, Nodes, Check ─► status.Status
//	Asker ─► Answers ────────┘
//
// All but the Asker is pure. A Pod that is ready records, and its playlist is
// new: its readiness probe has asked the worker that. Nobody asks it again.
package health

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/status"
	"camfleet.dev/workers/archive"
)

// States of status.Health.
const (
	Degraded = "degraded"
	Failed   = "failed"
)

// settling is how long something new may take before it is said to be unwell.
const settling = 2 * time.Minute

// Check says what is not well, cameras apart. cameras are those of Cameras.
// Sorted by ID.
func Check(obs cluster.Observation, cameras []status.Camera, now time.Time) []status.Health {
	c := checker{now: now, full: full(cameras), schedules: map[string]schedule{}}
	for _, p := range obs.Pods {
		if p.Resize != "" {
			c.add(p.Thing, Degraded, time.Time{}, "its new CPU or memory has not arrived: "+p.Resize)
		}
	}
	for _, j := range obs.CronJobs {
		c.days(j)
	}
	for _, claim := range obs.Claims {
		c.claim(claim)
	}
	for _, d := range obs.Deployments {
		c.page(d)
	}
	slices.SortFunc(c.found, func(a, b status.Health) int {
		return cmp.Or(a.ID.Compare(b.ID), cmp.Compare(a.Message, b.Message))
	})
	return c.found
}

type checker struct {
	now       time.Time
	full      map[string][]string // by site: its cameras without storage
	schedules map[string]schedule
	found     []status.Health
}

func (c *checker) add(t cluster.Thing, state string, since time.Time, message string) {
	c.found = append(c.found, status.Health{ID: t.ID, Site: t.Site, Camera: t.Camera, State: state, Since: since, Message: message})
}

// young tells whether something that began then may still become well by itself.
func (c *checker) young(began time.Time) bool { return c.now.Sub(began) < settling }

func (c *checker) page(d cluster.Deployment) {
	since := d.Since
	if since.IsZero() {
		since = d.Created
	}
	if d.Available >= d.Desired || c.young(since) {
		return
	}
	state, what := Degraded, fmt.Sprintf("%d of %d Pods are available", d.Available, d.Desired)
	if d.Available == 0 {
		state, what = Failed, "no Pod of it is available"
		if d.Role == object.RolePage {
			what = "the page of the site is not available"
		}
	}
	if why := reason(d.Reason, d.Message); why != "" {
		what += ": " + why
	}
	c.add(d.Thing, state, since, fmt.Sprintf("%s; kubectl describe pods -n %s -l %s=%s", what, d.Namespace, object.LabelRole, d.Role))
}

// full names the cameras that say so themselves.
func full(cameras []status.Camera) map[string][]string {
	out := map[string][]string{}
	for _, c := range cameras {
		if c.State == string(archive.StorageFull) {
			out[c.Site] = append(out[c.Site], c.Name)
		}
	}
	return out
}

// named are at most some names.
func named(names []string) string {
	const some = 5
	if more := len(names) - some; more > 0 {
		return strings.Join(names[:some], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// reason joins Kubernetes' word for something and its sentence.
func reason(word, sentence string) string {
	if word == "" || sentence == "" {
		return word + sentence
	}
	return word + ": " + sentence
}

// stamp is a time in a message.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

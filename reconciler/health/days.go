package health

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"camfleet.dev/reconciler/cluster"
)

// A day's run may begin this late (startingDeadlineSeconds of the compiler's
// CronJobs) and take this long (activeDeadlineSeconds); slack is for the
// controller and for what starts a Pod.
const (
	startLate = 6 * time.Hour
	runLong   = 6 * time.Hour
	slack     = 15 * time.Minute
)

// noTime is of what began at a time that nobody knows.
var noTime time.Time

// schedule is when a CronJob is due, in its zone.
type schedule struct {
	cron.Schedule
	zone *time.Location
	due  time.Time // last, of what must have begun by now
	err  error
}

// days looks whether a CronJob has made its day files.
func (c *checker) days(j cluster.CronJob) {
	if j.Suspend {
		c.add(j.Thing, Degraded, noTime, fmt.Sprintf("it is suspended: no day file is made; kubectl patch cronjob %s -n %s -p '{\"spec\":{\"suspend\":false}}'",
			j.Name, j.Namespace))
		return
	}
	s := c.schedule(j)
	if s.err != nil {
		c.add(j.Thing, Failed, j.Created, "nobody can tell when it is due: "+s.err.Error())
		return
	}
	due := s.due
	if due.IsZero() || !due.After(j.Created) || !j.Success.Before(due) {
		return
	}
	if j.Active > 0 && c.now.Before(due.Add(startLate+runLong+slack)) {
		return // it is being made
	}
	last := "none was made yet"
	if !j.Success.IsZero() {
		last = "the last run that succeeded ended " + j.Success.In(s.zone).Format("2006-01-02 15:04 MST")
	}
	day := due.In(s.zone).AddDate(0, 0, -1).Format(time.DateOnly)
	c.add(j.Thing, Degraded, due.UTC(), fmt.Sprintf("the day file of %s is missing: %s; kubectl get jobs -n %s, and kubectl logs -n %s of its Pod",
		day, last, j.Namespace, j.Namespace))
}

// schedule reads a CronJob's schedule as the controller manager does. Many have
// the same schedule, and more the same zone; zones are files.
func (c *checker) schedule(j cluster.CronJob) schedule {
	key := j.TimeZone + " " + j.Schedule
	if s, ok := c.schedules[key]; ok {
		return s
	}
	s := schedule{zone: time.UTC}
	if z, ok := c.schedules[j.TimeZone]; ok {
		s.zone, s.err = z.zone, z.err
	} else {
		if j.TimeZone != "" {
			s.zone, s.err = time.LoadLocation(j.TimeZone)
		}
		c.schedules[j.TimeZone] = s
	}
	if s.err == nil && strings.Contains(j.Schedule, "TZ=") {
		s.err = fmt.Errorf("its schedule %q names a time zone: use timeZone for that", j.Schedule)
	}
	if s.err == nil {
		s.Schedule, s.err = cron.ParseStandard(j.Schedule)
	}
	if s.err == nil {
		s.due = s.before(c.now.Add(-startLate - slack))
	}
	c.schedules[key] = s
	return s
}

// before is the last time that was due before t; zero if there was none in a year.
func (s schedule) before(t time.Time) time.Time {
	for _, window := range []time.Duration{time.Hour, 26 * time.Hour, 8 * 24 * time.Hour, 32 * 24 * time.Hour, 367 * 24 * time.Hour} {
		var last time.Time
		for at := s.Next(t.Add(-window).In(s.zone)); !at.IsZero() && at.Before(t); at = s.Next(at) {
			last = at
		}
		if !last.IsZero() {
			return last
		}
	}
	return time.Time{}
}

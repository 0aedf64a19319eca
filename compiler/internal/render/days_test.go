package render

import (
	"fmt"
	"testing"
	"time"
	_ "time/tzdata" // the same zones everywhere

	"github.com/robfig/cron/v3"

	batchv1 "k8s.io/api/batch/v1"

	"camfleet.dev/schema"
)

func TestDaysCronJob(t *testing.T) {
	t.Parallel()
	job := as[batchv1.CronJob](t, find(t, rendered(t, gate()), "CronJob", "days-north")).Spec
	if *job.TimeZone != "Europe/Berlin" || job.ConcurrencyPolicy != batchv1.ForbidConcurrent {
		t.Errorf("runs in %s, %s", *job.TimeZone, job.ConcurrencyPolicy)
	}
	if job.Suspend != nil || *job.SuccessfulJobsHistoryLimit != 1 || *job.FailedJobsHistoryLimit != 2 {
		t.Errorf("keeps %d and %d, suspended: %v", *job.SuccessfulJobsHistoryLimit, *job.FailedJobsHistoryLimit, job.Suspend)
	}
}

func TestNoDayFilesNoCronJob(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*schema.Camera){
		"no day files": func(c *schema.Camera) { c.Recording.Days.Enabled = false },
		"no recording": func(c *schema.Camera) { c.Recording.Enabled = false },
	} {
		for _, o := range rendered(t, withCamera("north", change)) {
			if o.Kind == "CronJob" && o.Camera == "north" {
				t.Errorf("%s: there is %s", name, o.ID)
			}
		}
	}
}

// TestScheduleIsStaggered: no minute is much fuller than the others.
func TestScheduleIsStaggered(t *testing.T) {
	t.Parallel()
	perMinute := map[string]int{}
	const cameras = 1000
	for i := range cameras {
		perMinute[cronSchedule("gate", fmt.Sprintf("cam-%d", i))]++
	}
	for schedule, n := range perMinute {
		if n > 4*cameras/minutes {
			t.Errorf("%d of %d cameras at %s", n, cameras, schedule)
		}
	}
	if len(perMinute) < minutes*9/10 {
		t.Errorf("only %d of %d minutes are used", len(perMinute), minutes)
	}
	if cronSchedule("gate", "north") == cronSchedule("yard", "north") {
		t.Error("the same camera name at two sites is at the same minute")
	}
}

// TestScheduleExistsOnceADay, wherever clocks are put forward and back (but for
// Lord Howe Island's half hour, which the cron library itself stumbles over).
func TestScheduleExistsOnceADay(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{
		"Europe/Berlin", "Europe/Helsinki", "Europe/London", "America/New_York", "America/Santiago", "America/Havana",
		"Asia/Beirut", "Asia/Tehran", "Atlantic/Azores", "Africa/Cairo", "Africa/Casablanca",
		"America/Nuuk", "America/Scoresbysund", "Pacific/Easter", "Antarctica/Troll", "Pacific/Chatham", "Asia/Gaza", "UTC",
	} {
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, minute := range []int{firstMinute, firstMinute + minutes - 1} {
			schedule, err := cron.ParseStandard(fmt.Sprintf("%d %d * * *", minute%60, minute/60))
			if err != nil {
				t.Fatal(err)
			}
			onceADay(t, schedule, location)
		}
	}
}

func onceADay(t *testing.T, schedule cron.Schedule, location *time.Location) {
	t.Helper()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, location)
	for noon := time.Date(2026, 1, 1, 12, 0, 0, 0, location); noon.Year() < 2029; noon = noon.AddDate(0, 0, 1) {
		at = schedule.Next(at)
		if at.Format(time.DateOnly) != noon.Format(time.DateOnly) {
			t.Fatalf("%s: %s runs at %s", location, noon.Format(time.DateOnly), at)
		}
		clock, before, after := at.Format(time.TimeOnly), at.Add(-time.Hour), at.Add(time.Hour)
		if before.Format(time.TimeOnly) == clock || after.Format(time.TimeOnly) == clock {
			t.Errorf("%s: %s is twice", location, at)
		}
	}
}

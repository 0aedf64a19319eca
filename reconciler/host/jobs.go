package host

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"camfleet.dev/reconciler/host/internal/disk"
	"camfleet.dev/reconciler/internal/clock"
)

// parse reads a job's schedule in its time zone.
func (j job) parse() (cron.Schedule, error) {
	if strings.Contains(j.schedule, "=") {
		return nil, fmt.Errorf("its schedule %q names a time zone: use timeZone for that", j.schedule)
	}
	zone := j.timeZone
	if zone == "" {
		zone = "UTC"
	}
	if _, err := time.LoadLocation(zone); err != nil || strings.ContainsAny(zone, " =") {
		return nil, fmt.Errorf("its time zone %q does not exist", zone)
	}
	schedule, err := cron.ParseStandard("CRON_TZ=" + zone + " " + j.schedule)
	if err != nil {
		return nil, fmt.Errorf("its schedule %q: %w", j.schedule, err)
	}
	return schedule, nil
}

const (
	// lookAgain bounds how long jobs trust the clock: it may be set, and a
	// small computer without a clock of its own wakes up in the past.
	lookAgain = time.Minute
	// A job that failed is tried again, at first soon.
	retryFirst = time.Minute
	retryMost  = time.Hour
)

// jobs runs CronJobs: one at a time, when their schedule says so in their
// zone; once, however often a run was missed while the host was down.
type jobs struct {
	dir   string // STATE/jobs
	disk  disk.Disk
	clock clock.Clock
	log   *slog.Logger
	// start makes the day files of one camera. It returns when that is done.
	start func(ctx context.Context, c camera) error

	// in
	views <-chan *view

	view  *view
	state map[key]*jobState
}

// jobState is what is known of a job. Last is on disk: STATE/jobs/<site>.<camera>.json.
type jobState struct {
	// Last is the moment up to which every run that was due is done.
	Last     time.Time `json:"last"`
	failures int
	retry    time.Time
}

// run goes on until ctx ends.
func (j *jobs) run(ctx context.Context) {
	j.view, j.state = &view{}, map[key]*jobState{}
	for ctx.Err() == nil {
		wait := lookAgain
		now := j.clock.Now()
		if k, at, ok := j.next(now); ok {
			if !at.After(now) {
				j.one(ctx, k)
				j.latest()
				continue
			}
			wait = min(wait, at.Sub(now))
		}
		timer, stop := j.clock.After(wait)
		select {
		case <-ctx.Done():
		case v := <-j.views:
			j.set(v)
		case <-timer:
		}
		stop()
	}
}

// latest takes up a view that came in the meantime.
func (j *jobs) latest() {
	select {
	case v := <-j.views:
		j.set(v)
	default:
	}
}

func (j *jobs) set(v *view) {
	j.view = v
	for k := range j.state {
		if _, ok := v.jobs[k]; ok {
			continue
		}
		delete(j.state, k)
		if err := j.disk.Remove(j.path(k)); err != nil {
			j.log.Warn("the note of a job that is gone stays", "site", k.site, "camera", k.name, "error", err)
		}
	}
}

// next is the job that is due first, and when.
func (j *jobs) next(now time.Time) (first key, at time.Time, found bool) {
	keys := slices.SortedFunc(maps.Keys(j.view.jobs), func(a, b key) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		if t, ok := j.due(k, now); ok && (!found || t.Before(at)) {
			first, at, found = k, t, true
		}
	}
	return first, at, found
}

// due is when a job runs next; in the past when it should have run already.
func (j *jobs) due(k key, now time.Time) (time.Time, bool) {
	job := j.view.jobs[k]
	if _, ok := j.view.cameras[k]; !ok || job.suspended {
		return time.Time{}, false
	}
	schedule, err := job.parse()
	if err != nil {
		return time.Time{}, false // a warning of the view
	}
	s := j.known(k, now)
	if s.Last.After(now) {
		s.Last = now // the clock was set back
	}
	if s.retry.After(now.Add(retryMost)) {
		s.retry = now
	}
	at := schedule.Next(s.Last)
	if at.IsZero() {
		return at, false // such as 30 February
	}
	if at.Before(s.retry) {
		at = s.retry
	}
	return at, true
}

// known reads what is known of a job. One seen for the first time has missed nothing.
func (j *jobs) known(k key, now time.Time) *jobState {
	if s := j.state[k]; s != nil {
		return s
	}
	s := &jobState{}
	data, err := os.ReadFile(j.path(k))
	if err != nil || json.Unmarshal(data, s) != nil || s.Last.IsZero() {
		s.Last = now
		j.save(k, s)
	}
	j.state[k] = s
	return s
}

func (j *jobs) path(k key) string { return filepath.Join(j.dir, k.String()+".json") }

func (j *jobs) save(k key, s *jobState) {
	data, err := json.Marshal(s)
	if err == nil {
		err = j.disk.Replace(j.path(k), data)
	}
	if err != nil {
		j.log.Error("a day file's run cannot be noted; it may run once more", "site", k.site, "camera", k.name, "error", err)
	}
}

// one runs a job. A crash before save makes it run again, which changes
// nothing: making day files is idempotent.
func (j *jobs) one(ctx context.Context, k key) {
	s, c := j.state[k], j.view.cameras[k]
	log := j.log.With("site", k.site, "camera", k.name)
	began := j.clock.Now()
	log.Info("making day files")
	err := j.start(ctx, c)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.failures++
		wait := backoff(retryFirst, retryMost, s.failures)
		s.retry = j.clock.Now().Add(wait)
		log.Error("making day files failed", "error", err, "again in", wait)
	default:
		s.Last, s.failures, s.retry = began, 0, time.Time{}
		j.save(k, s)
		log.Info("day files are made", "took", j.clock.Now().Sub(began).Round(time.Millisecond))
	}
}

// backoff doubles with each failure, from first (for one failure) to most.
func backoff(first, most time.Duration, failures int) time.Duration {
	wait := first
	for i := 1; i < failures && wait < most; i++ {
		wait *= 2
	}
	return min(wait, most)
}

package reconciler

import (
	"math/rand/v2"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
)

const (
	retryFirst     = time.Second
	retryDoublings = 4 // a poll of 15 s becomes one of 4 min
	retryMost      = 5 * time.Minute
	jitter         = 0.1
)

// retry is when something is tried next.
type retry struct {
	failures int
	at       time.Time
}

// failed puts it off, longer each time.
func (r *retry) failed(now time.Time, first time.Duration) {
	wait := first << min(r.failures, retryDoublings)
	r.failures++
	wait = max(first, min(wait, retryMost))
	r.at = now.Add(shake(wait))
}

// shake spreads waiting times: d, give or take a tenth.
func shake(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*rand.Float64()))
}

// early is d, less up to a tenth: a poll is never later than was asked for.
func early(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - jitter*rand.Float64()))
}

const (
	// freeHeals is how often an object is healed at once within calm.
	freeHeals = 3
	// calm is how long an object must give no trouble to be forgiven.
	calm = 10 * time.Minute
)

// trouble is what is remembered of an object that cannot be applied, or that
// has to be healed again and again. Other objects are not put off by it.
type trouble struct {
	level     int // doublings
	heals     []time.Time
	last      time.Time
	notBefore time.Time
	// why it was not applied; its Action is "" when it was healed since.
	why engine.Change
}

// troubles are the objects of the target that give some. That one cannot be
// changed does not put off to bring it back when it has gone.
type troubles map[engine.Try]*trouble

func (t troubles) of(what engine.Try, now time.Time) *trouble {
	x := t[what]
	if x == nil || now.Sub(x.last) > calm+retryMost {
		x = &trouble{}
		t[what] = x
	}
	x.last = now
	return x
}

func (x *trouble) putOff(now time.Time, most time.Duration, spread float64) {
	wait := min(retryFirst<<min(x.level, 16), most)
	x.level++
	x.notBefore = now.Add(time.Duration(float64(wait) * spread))
}

const (
	// outage is how many objects must fail, and none succeed, to look like a
	// target that does not work at all. Then they are not to be waited for long
	// after it works again.
	outage     = 3
	outageMost = 16 * time.Second
)

// failed notes changes that could not be made in one sync. They are tried again
// together: some may need others.
func (t troubles) failed(changes []engine.Change, others int, now time.Time) {
	most, spread := retryMost, 1-jitter+2*jitter*rand.Float64()
	if others == 0 && len(changes) >= outage {
		most = outageMost
	}
	for _, c := range changes {
		x := t.of(c.Try(), now)
		x.why = c
		x.putOff(now, most, spread)
	}
}

// healed notes that an object had to be put back.
func (t troubles) healed(what engine.Try, now time.Time) {
	x := t.of(what, now)
	kept := x.heals[:0]
	for _, at := range x.heals {
		if now.Sub(at) < calm {
			kept = append(kept, at)
		}
	}
	x.heals = append(kept, now)
	if len(x.heals) > freeHeals || x.level > 0 {
		x.putOff(now, retryMost, 1)
	}
}

// applied forgets why an object was not applied: it is now. What is right without
// the try that is put off is put off no more.
func (t troubles) applied(id object.ID, now time.Time) {
	for _, back := range []bool{false, true} {
		what := engine.Try{ID: id, Back: back}
		x := t[what]
		switch {
		case x == nil || x.why.Action == "":
		case x.notBefore.After(now):
			delete(t, what)
		default:
			x.why = engine.Change{}
		}
	}
}

// failedBefore is how a change that waits has failed, if it has.
func (t troubles) failedBefore(c engine.Change) (engine.Change, bool) {
	x := t[c.Try()]
	if c.Action != engine.Waiting || x == nil || x.why.Action != engine.Failed || x.why.Tried != c.Tried {
		return engine.Change{}, false
	}
	return x.why, true
}

// putOff is what was put off, until when, and the first of those times that is
// to come. What has been calm for long enough is forgotten.
func (t troubles) putOff(now time.Time) (map[engine.Try]engine.PutOff, alarm) {
	var first alarm
	out := map[engine.Try]engine.PutOff{}
	for what, x := range t {
		if !x.notBefore.IsZero() {
			out[what] = engine.PutOff{Until: x.notBefore, Failed: x.why.Action == engine.Failed}
		}
		switch {
		case x.notBefore.After(now):
			first.by(x.notBefore)
		case now.Sub(x.last) > calm && x.why.Action == "":
			delete(t, what)
			delete(out, what)
		}
	}
	return out, first
}

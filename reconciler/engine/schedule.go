package engine

import (
	"errors"
	"fmt"
	"sync"

	"camfleet.dev/compiler/object"
)

// slowFactor is how many more of the steps may run at once that mostly wait.
const slowFactor = 4

// lane is the work of one site: its steps by phase.
type lane struct {
	steps   [phases][]*Change
	phase   int
	running int
	queued  bool // it is in its pool's queue

	mu     sync.Mutex
	broken map[object.ID]block  // what is not applied, and others need
	stays  map[object.ID]string // what Pods run with that were refused, and why they were
}

// more tells whether a step of the lane may begin. It goes to the next phase
// when the one before is done.
func (l *lane) more() bool {
	for l.phase < phases && len(l.steps[l.phase]) == 0 && l.running == 0 {
		l.phase++
	}
	return l.phase < phases && len(l.steps[l.phase]) > 0
}

// block is why others cannot go on.
type block struct {
	is  error // errNotApplied or errNotYet
	why string
}

// failed notes that something is not as others need it; its reason says why.
func (l *lane) failed(c Change, is error) {
	if c.Kind != "ConfigMap" && (c.Kind != "Namespace" || c.Tried != Created) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = map[object.ID]block{}
	}
	l.broken[c.ID] = block{is: is, why: c.Reason}
}

// blocked says why a step must not be taken: a Pod that starts without its new
// configuration would keep the old one, and look as if it had the new one.
func (l *lane) blocked(c Change) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		return nil
	}
	if b, ok := l.broken[object.ID{APIVersion: "v1", Kind: "Namespace", Name: c.Namespace}]; ok {
		return fmt.Errorf("its namespace %s %w: %s", c.Namespace, b.is, b.why)
	}
	if b, ok := l.broken[configOf(c.ID)]; ok && c.Kind == "Pod" && (c.Action == Created || c.Action == Replaced) {
		return fmt.Errorf("its configuration %w: %s", b.is, b.why)
	}
	return nil
}

// refuse notes that a Pod stays as it was, and with it what it runs with.
func (l *lane) refuse(pod Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stays == nil {
		l.stays = map[object.ID]string{}
	}
	for _, id := range needs(pod.ID) {
		l.stays[id] = pod.Reason
	}
}

// refused says why configuration must not be changed: a worker would connect to
// a new URL by itself, from the Pod that was to stay as it is.
func (l *lane) refused(c Change) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if why, ok := l.stays[c.ID]; ok {
		return fmt.Errorf("it %w, as its Pod was refused: %s", errNotYet, why)
	}
	return nil
}

// What blocks others.
var (
	errNotApplied = errors.New("could not be applied")
	errNotYet     = errors.New("waits")
)

// pool is a number of slots, and the lanes that want one.
type pool struct {
	size, busy int
	queue      []*lane
}

// next is the lane whose turn it is, or nil. Lanes go round robin, and none may
// hold more slots than are free: one site whose steps hang takes half of them at
// most, the next one half of the rest.
func (p *pool) next(alone bool) *lane {
	for range len(p.queue) {
		l := p.queue[0]
		p.queue = append(p.queue[:0], p.queue[1:]...)
		if free := p.size - p.busy; l.running < free || alone && free > 0 {
			l.queued = false
			return l
		}
		p.queue = append(p.queue, l)
	}
	return nil
}

// scheduler lets lanes take turns. One goroutine owns it.
type scheduler struct {
	quick, slow *pool
	lanes       int // that are not done
	done        chan *lane
	take        func(phase int, c *Change, l *lane)
}

// schedule runs take for every change that has an effect, and waits. If it is
// asked to, it has Pods rehearsed before what they run with is changed.
func schedule(changes []Change, parallel int, rehearse bool, take func(phase int, c *Change, l *lane)) {
	s := scheduler{quick: &pool{size: parallel}, done: make(chan *lane), take: take}
	s.slow = s.quick
	if parallel > 1 { // one means: one after the other
		s.slow = &pool{size: slowFactor * parallel}
	}
	var lanes []*lane
	bySite := map[string]*lane{}
	var moves map[object.ID]bool
	if rehearse {
		moves = moving(changes)
	}
	for i := range changes {
		c := &changes[i]
		if c.Action == Unchanged {
			continue
		}
		l := bySite[c.Site]
		if l == nil {
			l = &lane{}
			bySite[c.Site] = l
			lanes = append(lanes, l)
		}
		switch {
		case c.Action.effect():
			l.add(c, moves[c.ID])
		case c.Action == Failed && c.step.Action == "": // one of two, of which the other is used
		case c.Action == Failed:
			l.failed(*c, errNotApplied)
		case c.Tried != "":
			l.failed(*c, errNotYet)
		}
	}
	for _, l := range lanes {
		if s.offer(l); l.phase < phases {
			s.lanes++
		}
	}
	s.run()
}

// add adds a step to its phase; moves tells whether it is a Pod that is replaced
// together with its configuration, or that configuration.
func (l *lane) add(c *Change, moves bool) {
	phase := phaseOf(*c)
	if moves && c.Kind == "Pod" {
		l.steps[phaseRehearse] = append(l.steps[phaseRehearse], c)
	} else if moves {
		phase = phaseMove
	}
	l.steps[phase] = append(l.steps[phase], c)
}

// moving are the Pods that are replaced while they run, and what changes of what
// they run with.
func moving(changes []Change) map[object.ID]bool {
	at := map[object.ID]*Change{}
	for i := range changes {
		if c := &changes[i]; c.Action == Configured {
			at[c.ID] = c
		}
	}
	moves := map[object.ID]bool{}
	for i := range changes {
		c := &changes[i]
		if c.Kind != "Pod" || c.Action != Replaced || c.step.Fenced || !c.goesOn() {
			continue
		}
		for _, id := range needs(c.ID) {
			if with := at[id]; with != nil && with.Site == c.Site && with.movesCamera() {
				moves[c.ID], moves[id] = true, true
			}
		}
	}
	return moves
}

// run starts steps as long as there are any.
func (s *scheduler) run() {
	for {
		s.start(s.quick)
		s.start(s.slow)
		if s.quick.busy+s.slow.busy == 0 {
			return
		}
		l := <-s.done
		s.pool(l.phase).busy--
		l.running--
		s.offer(l)
		if l.phase == phases {
			s.lanes--
		}
	}
}

// start begins as many steps as a pool has room for.
func (s *scheduler) start(p *pool) {
	for {
		l := p.next(s.lanes == 1)
		if l == nil {
			return
		}
		phase, c := l.phase, l.steps[l.phase][0]
		l.steps[phase] = l.steps[phase][1:]
		l.running++
		p.busy++
		s.offer(l)
		go func() {
			defer func() { s.done <- l }()
			s.take(phase, c, l)
		}()
	}
}

// offer puts a lane into the queue of its pool if it has a step to begin.
func (s *scheduler) offer(l *lane) {
	if l.more() && !l.queued {
		l.queued = true
		p := s.pool(l.phase)
		p.queue = append(p.queue, l)
	}
}

func (s *scheduler) pool(phase int) *pool {
	if slow(phase) {
		return s.slow
	}
	return s.quick
}

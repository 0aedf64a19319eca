package reconciler

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/source"
)

// target is a compiled commit, and what is known of it.
type target struct {
	commit *source.Commit
	result *object.Result
	// plan is what is planned with: result, or, when the fleet as a whole is
	// broken, the last fleet that was right. Then it is nil until one is known.
	plan *object.Result
	good map[string][]object.Object // engine.Options.Good
	// hashes are the commits in which broken sites were last right.
	hashes map[string]string
	// unknown are broken sites of which it is not known how they last were:
	// they are kept, and cannot be healed.
	unknown []string
	// was is the fleet's uid before this commit, if it has changed it.
	was string
}

// lastGood is a commit in which a site was right.
type lastGood struct {
	hash   string
	result *object.Result
}

// keepGood remembers which sites are right in a result.
func (l *loop) keepGood(commit *source.Commit, result *object.Result) {
	if result.Broken {
		return
	}
	l.fleet = result
	known := map[string]bool{}
	for _, s := range result.Sites {
		known[s.Name] = true
		if !s.Broken {
			l.good[s.Name] = lastGood{commit.Hash, result}
		}
	}
	maps.DeleteFunc(l.good, func(site string, _ lastGood) bool { return !known[site] })
}

func (l *loop) newTarget(commit *source.Commit, result *object.Result) *target {
	t := &target{commit: commit, result: result, plan: result, good: map[string][]object.Object{}, hashes: map[string]string{}}
	noted := l.book.now().Good
	if was := l.book.now().Fleet; was != "" && was != result.Fleet.UID && !result.Broken {
		t.was = was
	}
	if result.Broken {
		t.plan = nil
		if l.fleet != nil {
			t.plan = &object.Result{Fleet: l.fleet.Fleet, Broken: true}
		}
	}
	for _, site := range brokenSites(result, l.good, noted) {
		if g, ok := l.good[site]; ok {
			t.good[site], t.hashes[site] = objectsOf(g.result, site), g.hash
			continue
		}
		t.unknown = append(t.unknown, site)
		if noted[site] != "" {
			t.hashes[site] = noted[site]
		}
	}
	return t
}

// brokenSites are the broken sites of a result: of a broken fleet, all that are known.
func brokenSites(result *object.Result, good map[string]lastGood, noted map[string]string) []string {
	sites := map[string]bool{}
	for _, s := range result.Sites {
		if s.Broken {
			sites[s.Name] = true
		}
	}
	if result.Broken {
		for site := range good {
			sites[site] = true
		}
		for site := range noted {
			sites[site] = true
		}
	}
	return slices.Sorted(maps.Keys(sites))
}

func objectsOf(result *object.Result, site string) []object.Object {
	var out []object.Object
	for _, o := range result.Objects {
		if o.Site == site {
			out = append(out, o)
		}
	}
	return out
}

// forgotten are the commits that would tell how broken sites last were: after a
// restart, the notes still name them.
func (l *loop) forgotten() []string {
	if l.target == nil {
		return nil
	}
	var hashes []string
	for site, hash := range l.target.hashes {
		if _, known := l.good[site]; !known && !l.recalledOnce[hash] && !slices.Contains(hashes, hash) {
			hashes = append(hashes, hash)
		}
	}
	slices.Sort(hashes)
	return hashes
}

// maxRecall bounds the tries to read old commits: they may be gone for good.
const maxRecall = 5

func (l *loop) mayRecall() bool {
	_, able := l.Source.(commits)
	return able && !l.recalling && l.recallTry.failures < maxRecall && len(l.forgotten()) > 0
}

// recall compiles one of the commits in which broken sites were last right.
func (l *loop) recall() {
	l.recalling = true
	hashes := l.forgotten()
	hash := hashes[l.recallTry.failures%len(hashes)] // one that cannot be read does not keep the others back
	l.child(l.ctx, func(ctx context.Context) func() {
		result, err := l.read(ctx, hash)
		return func() { l.recalled(hash, result, err) }
	})
}

func (l *loop) read(ctx context.Context, hash string) (*object.Result, error) {
	c, err := l.fetchCommit(ctx, hash)
	if err != nil {
		return nil, err
	}
	return l.Compile(ctx, c.FS)
}

// fetchCommit reads an old commit, which the source verifies like a new one.
func (l *loop) fetchCommit(ctx context.Context, hash string) (*source.Commit, error) {
	timed, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	release, err := l.takeSource(timed)
	if err != nil {
		return nil, err
	}
	defer release()
	c, err := l.Source.(commits).FetchCommit(timed, hash)
	if err == nil && c == nil {
		err = fmt.Errorf("commit %s is not there", short(hash))
	}
	return c, err
}

func (l *loop) recalled(hash string, result *object.Result, err error) {
	l.recalling = false
	if err == nil && result.Broken {
		err = fmt.Errorf("commit %s is broken as a whole", short(hash))
	}
	if err != nil {
		l.recallTry.failed(l.Clock.Now(), l.Interval)
		l.Log.Warn("how broken sites last were cannot be read; they are kept, and not healed", "commit", short(hash), "error", err)
		return
	}
	l.recallTry, l.recalledOnce[hash] = retry{}, true
	if l.fleet == nil {
		l.fleet = &object.Result{Fleet: result.Fleet}
	}
	for _, s := range result.Sites {
		if _, known := l.good[s.Name]; !known && !s.Broken && l.target.hashes[s.Name] == hash {
			l.good[s.Name] = lastGood{hash, result}
		}
	}
	l.Log.Info("broken sites are healed as they last were", "commit", short(hash))
	l.target = l.newTarget(l.target.commit, l.target.result)
	l.sync.by(l.Clock.Now())
}

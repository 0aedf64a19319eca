package compiler_test

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"camfleet.dev/compiler"
)

// seeds are the sites of all golden archives and of all hostile commits: the
// tables of errors are what is most worth varying.
func seeds(t testing.TB) []string {
	t.Helper()
	names, _ := filepath.Glob("testdata/*.txtar")
	var list []string
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range a.Files {
			if strings.HasPrefix(f.Name, "sites/") && strings.HasSuffix(f.Name, ".cue") {
				list = append(list, string(f.Data))
			}
		}
	}
	for _, c := range hostile() {
		list = append(list, c.data)
	}
	if len(list) < 40 {
		t.Fatalf("only %d seeds", len(list))
	}
	return list
}

// bombs are what the language offers to use up memory or time, with no way for
// us to stop it: the child process that compiles has limits for that
// (reconciler/sandbox), a fuzzing process has not.
var bombs = regexp.MustCompile(`Range|Repeat|for |math|\\\(|\* *[0-9]{4}`)

// leftOut reports that the fuzz test does not try an input.
func leftOut(site string) bool { return site == "" || len(site) > 4000 || bombs.MatchString(site) }

// TestSeeds runs the fuzz test's properties over the seeds that it leaves out.
func TestSeeds(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(t) {
		if leftOut(seed) && seed != "" {
			holds(t, seed)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range seeds(f) {
		if !leftOut(seed) {
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, site string) {
		if leftOut(site) {
			t.Skip()
		}
		holds(t, site)
	})
}

// holds checks what is true of every site whatsoever: no panic, no error, the
// same bytes twice, every problem has a file and words, a site beside it is not
// touched.
func holds(t *testing.T, site string) {
	t.Helper()
	fsys := fleetFS(map[string]string{"sites/fuzz/site.cue": site, "sites/good/site.cue": rightSite("good", 1)})
	r := compile(t, fsys, compiler.Options{Parallel: 2})
	if again := marshal(t, compile(t, fsys, compiler.Options{Parallel: 1})); !bytes.Equal(marshal(t, r), again) {
		t.Errorf("other bytes the second time, for:\n%.1000s", site)
	}
	for _, p := range r.Problems {
		if p.File == "" || p.Message == "" || strings.Contains(p.File, "..") || len(p.Error()) > 2000 {
			t.Errorf("%+v", p)
		}
	}
	if r.Broken || len(r.Sites) != 2 || r.Sites[1].Broken {
		t.Errorf("one site broke the fleet (%v) or the other (%+v): %v, for:\n%.1000s", r.Broken, r.Sites, r.Problems, site)
	}
	if r.Sites[0].Broken != (len(r.Problems) > 0) {
		t.Errorf("the site is broken: %v, with problems %v", r.Sites[0].Broken, r.Problems)
	}
}

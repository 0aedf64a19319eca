// Package house holds the rules of the house as tests: which folder may import
// which, how long a file and a function may be, what the top level holds.
package house

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "camfleet.dev/"

// root runs a command in the repository's root and returns its lines.
func root(t *testing.T, name string, args ...string) []string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// imports maps each package of the module to what it imports directly, tests left out.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	graph := map[string][]string{}
	for _, line := range root(t, "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		fields := strings.Fields(line)
		graph[strings.TrimPrefix(fields[0], module)] = fields[1:]
	}
	if len(graph) < 10 {
		t.Fatalf("go list found only %d packages", len(graph))
	}
	return graph
}

// TestImportsRunOneWay holds the arrows of the architecture:
// schema ← compiler ← reconciler ← cmd, and schema ← workers ← reconciler/host, cmd.
func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	for pkg, deps := range imports(t) {
		for _, dep := range deps {
			if rule := broken(pkg, dep); rule != "" {
				t.Errorf("%s imports %s: %s", pkg, dep, rule)
			}
		}
	}
}

var (
	kubernetes = []string{"k8s.io/"}
	clients    = []string{"k8s.io/client-go"}
	heavy      = []string{"k8s.io/", "sigs.k8s.io/", "cuelang.org/", "github.com/go-git/"}
)

// rules are read from the top; the first whose folder matches decides.
var rules = []struct {
	folder string   // of the importing package
	own    []string // camfleet's own folders that it may import
	not    []string // foreign modules that it may not
}{
	{"schema", []string{"schema"}, heavy},
	{"compiler/object", []string{"schema", "compiler/object"}, heavy},
	{"compiler", []string{"schema", "compiler"}, clients},
	{"reconciler/source", []string{"reconciler/source", "reconciler/internal"}, kubernetes},
	{"reconciler/engine", []string{"schema", "compiler/object", "reconciler/engine"}, []string{"cuelang.org/", "github.com/go-git/"}},
	{"reconciler/host", []string{"schema", "compiler", "reconciler", "workers"}, clients},
	{"reconciler/cluster", []string{"schema", "compiler/object", "reconciler/engine", "reconciler/cluster"}, []string{"cuelang.org/", "github.com/go-git/"}},
	{"reconciler/control", []string{"schema", "compiler/object", "reconciler/engine", "reconciler/status", "reconciler/control", "workers/archive"}, []string{"cuelang.org/", "github.com/go-git/"}},
	{"reconciler/health", []string{"compiler/object", "reconciler/status", "reconciler/cluster", "reconciler/health", "workers/archive"}, []string{"cuelang.org/", "github.com/go-git/"}},
	{"reconciler", []string{"schema", "compiler", "reconciler", "workers/archive"}, nil},
	{"workers", []string{"schema", "workers"}, heavy},
	{"cmd/camfleet-worker", []string{"schema", "workers", "cmd/camfleet-worker"}, heavy},
	{"cmd", []string{"schema", "compiler", "reconciler", "workers", "cmd"}, nil},
	{"hack", []string{"schema", "compiler", "reconciler", "workers", "hack"}, nil},
}

func broken(pkg, dep string) string {
	for _, r := range rules {
		if !within(pkg, r.folder) {
			continue
		}
		if own, ok := strings.CutPrefix(dep, module); ok {
			if slices.ContainsFunc(r.own, func(f string) bool { return within(own, f) }) {
				return ""
			}
			return r.folder + " may import only " + strings.Join(r.own, ", ") + " of camfleet's own"
		}
		if i := slices.IndexFunc(r.not, func(p string) bool { return strings.HasPrefix(dep, p) }); i >= 0 {
			return r.folder + " may not import " + r.not[i]
		}
		return ""
	}
	return "no rule for this folder"
}

func within(pkg, folder string) bool {
	return pkg == folder || strings.HasPrefix(pkg, folder+"/")
}

// TestRulesBite shows that the rules refuse what they are for.
func TestRulesBite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pkg, dep string }{
		{"schema", "cuelang.org/go/cue"},
		{"compiler", module + "reconciler/engine"},
		{"compiler/internal/render", "k8s.io/client-go/kubernetes"},
		{"workers/live", "k8s.io/api/core/v1"},
		{"workers/archive", module + "compiler/object"},
		{"reconciler/engine", "cuelang.org/go/cue"},
		{"reconciler/engine", module + "compiler"},
		{"reconciler/host", "k8s.io/client-go/dynamic"},
		{"reconciler/cluster", module + "reconciler/host"},
		{"reconciler/cluster", "github.com/go-git/go-git/v5"},
		{"hack/bench", module + "cmd/camfleet"},
		{"sites", "fmt"},
	} {
		if broken(c.pkg, c.dep) == "" {
			t.Errorf("%s may import %s, and should not", c.pkg, c.dep)
		}
	}
}

// TestTopLevel keeps the top level what the architecture says it is.
func TestTopLevel(t *testing.T) {
	t.Parallel()
	want := []string{
		".ci", ".gitignore", "CHANGELOG.md", "Makefile", "README.md", "cmd", "compiler", "go.mod", "go.sum",
		"hack", "manifests", "reconciler", "schema", "sites", "workers",
	}
	var got []string
	for _, f := range root(t, "git", "ls-files") {
		top, _, _ := strings.Cut(f, "/")
		if !slices.Contains(got, top) {
			got = append(got, top)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("top level is\n%v, want\n%v", got, want)
	}
}

// TestDataFoldersHoldNoGo keeps programs out of the folders that are data.
func TestDataFoldersHoldNoGo(t *testing.T) {
	t.Parallel()
	for _, f := range root(t, "git", "ls-files", "sites", "manifests") {
		if strings.HasSuffix(f, ".go") {
			t.Errorf("%s: sites and manifests hold data only", f)
		}
	}
}

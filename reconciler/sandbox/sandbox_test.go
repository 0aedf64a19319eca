package sandbox

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
)

// The test program is its own child, as camfleet is.
const childArgument = "sandbox-test-child"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childArgument {
		os.Exit(Child(context.Background(), os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == probeArgument {
		os.Exit(Child(context.Background(), &probe{Reader: os.Stdin, address: os.Args[2], file: os.Args[3]}, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func newCompiler(t *testing.T) *Compiler {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Compiler{Command: []string{self, childArgument}}
}

func compile(t *testing.T, c *Compiler, files fs.FS) *object.Result {
	t.Helper()
	res, err := c.Compile(t.Context(), files, compiler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// example is the example fleet of this repository, with files put over it.
func example(t *testing.T, over map[string]string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS("../../sites"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile("../../sites/" + name)
		files[name] = &fstest.MapFile{Data: content}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range over {
		files[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return files
}

func TestSameResultAsInProcess(t *testing.T) {
	t.Parallel()
	files := example(t, nil)
	want, err := compiler.Compile(t.Context(), files, compiler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := compile(t, newCompiler(t), files)
	if len(got.Problems) > 0 || len(got.Objects) == 0 {
		t.Fatalf("%d objects, problems %v", len(got.Objects), got.Problems)
	}
	same := slices.EqualFunc(got.Objects, want.Objects, func(a, b object.Object) bool {
		return a.ID == b.ID && a.Hash == b.Hash && a.Source == b.Source && bytes.Equal(a.Body, b.Body)
	})
	if !same {
		t.Error("the child's objects differ from those compiled in process")
	}
}

func TestProblemsComeThrough(t *testing.T) {
	t.Parallel()
	res := compile(t, newCompiler(t), example(t, map[string]string{
		"sites/gate/bad.cue": "package site\n\nsite: cameras: bad: urll: 5\n",
	}))
	if len(res.Problems) == 0 || res.Problems[0].File != "sites/gate/bad.cue" || res.Problems[0].Line != 3 {
		t.Errorf("problems %v, want one at sites/gate/bad.cue:3", res.Problems)
	}
}

// bombs are lines of CUE that no process survives.
var bombs = map[string]string{
	"memory": "package site\nimport \"list\"\n_bomb: [for i in list.Range(0, 1000000000, 1) {i}]\nsite: title: \"\\(len(_bomb))\"\n",
	"time": "package site\nimport \"list\"\n_r: list.Range(0, 3000, 1)\n" +
		"_n: len([for a in _r for b in _r for c in _r if a+b+c < 0 {1}])\nsite: title: \"\\(_n)\"\n",
}

func TestBombHitsOnlyItsSite(t *testing.T) {
	t.Parallel()
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCompiler(t)
			c.Deadline, c.Memory = 20*time.Second, testMemory
			start := time.Now()
			res := compile(t, c, example(t, map[string]string{"sites/yard/bomb.cue": bomb}))
			if took := time.Since(start); took > 90*time.Second {
				t.Errorf("took %s", took)
			}
			if res.Broken || len(res.Sites) != 2 {
				t.Fatalf("sites %+v, broken %v, problems %v", res.Sites, res.Broken, res.Problems)
			}
			for _, s := range res.Sites {
				if s.Broken != (s.Name == "yard") {
					t.Errorf("site %s broken: %v", s.Name, s.Broken)
				}
			}
			if len(res.Problems) != 1 || res.Problems[0].Site != "yard" || !strings.Contains(res.Problems[0].Message, "compiling") {
				t.Errorf("problems %v, want one that names yard", res.Problems)
			}
			t.Log(res.Problems)
		})
	}
}

func TestBombInTheFleetItself(t *testing.T) {
	t.Parallel()
	c := newCompiler(t)
	c.Deadline, c.Memory = 20*time.Second, testMemory
	bomb := strings.NewReplacer("package site", "package fleet", "site: title:", "fleet: name:").Replace(bombs["memory"])
	res := compile(t, c, example(t, map[string]string{"bomb.cue": bomb}))
	if !res.Broken || len(res.Problems) != 1 || len(res.Objects) != 0 {
		t.Errorf("broken %v, problems %v, want a broken fleet", res.Broken, res.Problems)
	}
}

func TestCannotRun(t *testing.T) {
	t.Parallel()
	c := &Compiler{Command: []string{"/nowhere/camfleet"}}
	if _, err := c.Compile(t.Context(), fstest.MapFS{}, compiler.Options{}); err == nil || !strings.Contains(err.Error(), "starting the compiler") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := newCompiler(t).Compile(ctx, example(t, nil), compiler.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancelling: %v", err)
	}
}

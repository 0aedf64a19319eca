package scaffold_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/load"

	"camfleet.dev/schema"
	"camfleet.dev/schema/scaffold"
)

var someFleet = scaffold.Fleet{Name: "acme", UID: "3f0c6a52-58f1-4b0e-9d58-6a1f4be7c001"}

func TestNewUID(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	a, err := scaffold.NewUID(rand.Reader)
	b, _ := scaffold.NewUID(rand.Reader)
	if err != nil || !form.MatchString(a) || a == b {
		t.Errorf("%q, %q, %v", a, b, err)
	}
	if _, err := scaffold.NewUID(bytes.NewReader(nil)); !errors.Is(err, io.EOF) {
		t.Errorf("without randomness: %v", err)
	}
}

// TestInitIsRight holds that stock CUE accepts what init writes, as it is.
func TestInitIsRight(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	wrote, err := scaffold.Init(dir, someFleet)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"fleet.cue", "clusters/home.cue", "sites/home/site.cue", "cue.mod/module.cue", ".gitignore", schema.VendorDir + "/site.cue"} {
		if !slices.Contains(wrote, name) {
			t.Errorf("%s is not in %v", name, wrote)
		}
	}
	for _, pkg := range []string{".", "./clusters", "./sites/home"} {
		inst := load.Instances([]string{pkg}, &load.Config{Dir: dir, Env: []string{"CUE_REGISTRY=none"}})[0]
		if inst.Err != nil {
			t.Errorf("%s: %v", pkg, inst.Err)
			continue
		}
		if err := cuecontext.New().BuildInstance(inst).Validate(cue.Concrete(true)); err != nil {
			t.Errorf("%s: %s", pkg, cueerrors.Details(err, nil))
		}
	}
	data, _ := os.ReadFile(filepath.Join(dir, "fleet.cue"))
	if !strings.Contains(string(data), someFleet.UID) || !strings.Contains(string(data), `"acme"`) {
		t.Errorf("fleet.cue:\n%s", data)
	}
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fleet scaffold.Fleet
		want  string
	}{
		"a bad name": {scaffold.Fleet{Name: "My Fleet", UID: "x"}, "lower case"},
		"no uid":     {scaffold.Fleet{Name: "acme"}, "identifier"},
	} {
		dir := t.TempDir()
		if _, err := scaffold.Init(dir, c.fleet); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if list, _ := os.ReadDir(dir); len(list) != 0 {
			t.Errorf("%s: wrote %v", name, list)
		}
	}
}

// TestInitOverwritesNothing holds that one file that is there stops all.
func TestInitOverwritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := filepath.Join(dir, "fleet.cue")
	if err := os.WriteFile(mine, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := scaffold.Init(dir, someFleet)
	if !errors.Is(err, scaffold.ErrExists) || !strings.Contains(err.Error(), "fleet.cue") || !strings.Contains(err.Error(), "--upgrade") {
		t.Errorf("error: %v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("wrote %v", list)
	}
	if data, _ := os.ReadFile(mine); string(data) != "mine" {
		t.Errorf("fleet.cue is now %q", data)
	}
}

func TestInitKeepsGitignore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	wrote, err := scaffold.Init(dir, someFleet)
	if data, _ := os.ReadFile(filepath.Join(dir, ".gitignore")); err != nil || string(data) != "mine" || slices.Contains(wrote, ".gitignore") {
		t.Errorf("%q, %v, %v", data, wrote, err)
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := scaffold.Upgrade(dir); !errors.Is(err, scaffold.ErrNoFleet) || !strings.Contains(err.Error(), "camfleet init") {
		t.Errorf("no fleet: %v", err)
	}
	if _, err := scaffold.Init(dir, someFleet); err != nil {
		t.Fatal(err)
	}
	if changed, err := scaffold.Upgrade(dir); err != nil || len(changed) != 0 {
		t.Errorf("up to date: %v, %v", changed, err)
	}
	old := schema.VendorDir + "/site.cue"
	for _, name := range []string{old, "sites/home/site.cue"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("package x\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "cue.mod/module.cue")); err != nil {
		t.Fatal(err)
	}
	changed, err := scaffold.Upgrade(dir)
	if want := []string{"cue.mod/module.cue", old}; err != nil || !slices.Equal(changed, want) {
		t.Errorf("changed %v, %v; want %v", changed, err, want)
	}
	if data, _ := os.ReadFile(filepath.Join(dir, "sites/home/site.cue")); string(data) != "package x\n" {
		t.Errorf("the user's site is now %q", data)
	}
}

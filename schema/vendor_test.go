package schema_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/load"

	"camfleet.dev/schema"
)

var update = flag.Bool("update", false, "rewrite what this test compares with")

const example = "../sites"

// TestExampleHasThisSchema holds the copy in the example fleet equal to the
// schema: it is what a user's editor reads.
func TestExampleHasThisSchema(t *testing.T) {
	t.Parallel()
	if *update {
		if _, err := schema.Vendor(example); err != nil {
			t.Fatal(err)
		}
	}
	names, _ := fs.Glob(schema.FS, "*.cue")
	there, _ := filepath.Glob(filepath.Join(example, schema.VendorDir, "*"))
	if len(names) == 0 || len(there) != len(names) {
		t.Errorf("%d files vendored, %d in the schema: run go test ./schema -update", len(there), len(names))
	}
	for _, name := range names {
		want, _ := schema.FS.ReadFile(name)
		have, err := os.ReadFile(filepath.Join(example, schema.VendorDir, name))
		if err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s differs from the schema (%v): run go test ./schema -update", name, err)
		}
	}
}

func TestVendor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	all, err := schema.Vendor(dir)
	if err != nil || len(all) < 5 || !slices.IsSorted(all) {
		t.Fatalf("first: %v, %v", all, err)
	}
	if again, err := schema.Vendor(dir); err != nil || len(again) != 0 {
		t.Errorf("unchanged: %v, %v", again, err)
	}
	edited, stale := filepath.Join(dir, all[0]), filepath.Join(dir, schema.VendorDir, "old.cue")
	for _, name := range []string{edited, stale} {
		if err := os.WriteFile(name, []byte("package schema\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	changed, err := schema.Vendor(dir)
	if want := []string{all[0], schema.VendorDir + "/old.cue"}; err != nil || !slices.Equal(changed, want) {
		t.Errorf("changed: %v, %v; want %v", changed, err, want)
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("a file that the schema does not have is still part of the package")
	}
}

func TestVendorSaysWhatItCannotDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cue.mod"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := schema.Vendor(dir); err == nil || !strings.Contains(err.Error(), "vendoring the schema") {
		t.Errorf("error: %v", err)
	}
}

// vet evaluates a package on disk as `cue vet -c` does: vendored schema, no registry.
func vet(dir, pkg string) error {
	inst := load.Instances([]string{pkg}, &load.Config{Dir: dir, Env: []string{"CUE_REGISTRY=none"}})[0]
	if inst.Err != nil {
		return inst.Err
	}
	return cuecontext.New().BuildInstance(inst).Validate(cue.Concrete(true))
}

func packages(t *testing.T, root string) []string {
	t.Helper()
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "cue.mod" {
			return filepath.SkipDir
		}
		if err == nil && strings.HasSuffix(p, ".cue") {
			rel, _ := filepath.Rel(root, filepath.Dir(p))
			seen["./"+filepath.ToSlash(rel)] = true
		}
		return err
	})
	if err != nil || len(seen) < 3 {
		t.Fatalf("packages in %s: %v, %v", root, seen, err)
	}
	var list []string
	for p := range seen {
		list = append(list, p)
	}
	slices.Sort(list)
	return list
}

func TestStockCUEAcceptsTheExample(t *testing.T) {
	t.Parallel()
	for _, pkg := range packages(t, example) {
		if err := vet(example, pkg); err != nil {
			t.Errorf("%s: %s", pkg, errors.Details(err, nil))
		}
	}
}

// TestCueCommandAcceptsTheExample runs the cue command itself, as pinned in go.mod.
func TestCueCommandAcceptsTheExample(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "cue", "vet", "-c", "./...")
	cmd.Dir = example
	cmd.Env = append(os.Environ(), "CUE_REGISTRY=none")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("cue vet: %v\n%s", err, out)
	}
}

// TestStockCUEUsesOurWords holds that a user of `cue vet` reads the schema's own
// messages, for every limit and enum.
func TestStockCUEUsesOurWords(t *testing.T) {
	t.Parallel()
	v := build(t)
	for _, c := range []struct{ def, value, want string }{
		{"#Camera", `url: "http://x"`, "rtsp://"},
		{"#Camera", `url: "rtsp://user:pw@10.0.0.1/x"`, "no user or password"},
		{"#Camera", `url: "rtsp://10.0.0.1/a b"`, "rtsp://"},
		{"#Camera", `url: "rtsp://"`, "rtsp://"},
		{"#Camera", `transport: "tpc"`, `"tcp" or "udp"`},
		{"#Camera", `edge: "Gate 1"`, "lower case"},
		{"#Camera", `bitrate: 4`, "bit rate"},
		{"#Camera", `live: latency: "none"`, "LL-HLS"},
		{"#Camera", `recording: segment: "30s"`, `"1s" to "10s"`},
		{"#Camera", `recording: retention: age: "0d"`, "how long to keep"},
		{"#Camera", `recording: retention: bytes: "5"`, "size in quotes"},
		{"#Camera", `recording: enabled: "yes"`, "true or false"},
		{"#Camera", `disabled: 1`, "true or false"},
		{"#Camera", `location: latitude: 91`, "-90"},
		{"#Camera", `location: longitude: -181`, "-180"},
		{"#Camera", `location: heading: 360`, "clockwise"},
		{"#Camera", `location: fieldOfView: 0`, "above 0"},
		{"#Camera", `neighbours: "a/b/c": {}`, "camera of this site"},
		{"#Camera", `packages: people: fps: 0`, "frames per second"},
		{"#Camera", `resources: cpu: 1`, "number of cores"},
		{"#Camera", `resources: memory: "1"`, "amount of memory"},
		{"#Camera", `description: "a\nb"`, "one line"},
		{"#Site", `timeZone: "Europe Berlin"`, "IANA"},
		{"#Site", `storage: accessMode: "ReadWriteMore"`, "ReadWriteMany"},
		{"#Site", `cameras: North: url: "rtsp://x"`, "lower case"},
		{"#Site", `cameras: "a23456789-123456789-123456789-123456789-1": url: "rtsp://x"`, "40 characters"},
		{"#Site", `edges: "x_y": arch: "arm64"`, "lower case"},
		{"#Site", `edges: x: arch: "x86"`, `"amd64"`},
		{"#Site", `page: host: "https://x"`, "without a scheme"},
		{"#Fleet", `uid: "x"`, "camfleet init"},
		{"#Fleet", `policy: enter: 2`, "share"},
		{"#Fleet", `policy: freeze: [{from: "25:00"}]`, "time of day"},
		{"#Fleet", `policy: freeze: [{days: ["monday"]}]`, `"mon"`},
		{"#Cluster", `images: nginx: "nginx latest"`, "must be an image"},
		{"#Cluster", `registry: host: "http://10.0.0.5"`, "registry's host"},
		{"#Package", `image: "example.org/people:latest"`, "by digest"},
		{"#Package", `priority: 101`, "0 to 100"},
		{"#Package", `variants: x: conditions: ["snow"]`, `"day"`},
		{"#Package", `variants: x: accuracy: [{value: 2}]`, "0 to 1"},
		{"#Server", `metrics: cpu: "rate(x[1m])"`, "Prometheus metric"},
		{"#Server", `accelerators: [{sessions: 0}]`, "1 to 1000"},
	} {
		def := v.LookupPath(cue.ParsePath(c.def))
		err := def.Unify(cuecontext.New().CompileString(c.value)).Validate()
		if err == nil || !strings.Contains(errors.Details(err, nil), c.want) {
			t.Errorf("%s & {%s}: want words with %q, got: %v", c.def, c.value, c.want, errors.Details(err, nil))
		}
	}
}

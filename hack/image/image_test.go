package image

import (
	"archive/tar"
	"context"
	"debug/elf"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const version = "v1.2.3-4-gabcdef0"

// built is one image for all tests here: of all platforms, or of this
// machine's with -short.
var built = sync.OnceValues(func() (v1.ImageIndex, error) {
	return Build(context.Background(), Options{Platforms: platforms(), Version: version})
})

func platforms() []string {
	if testing.Short() {
		return []string{Host()}
	}
	return Platforms()
}

// newRegistry is a real registry that speaks plain HTTP; it returns host:port.
func newRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// pulled is the image after it went to a registry and back.
func pulled(t *testing.T) v1.ImageIndex {
	t.Helper()
	index, err := built()
	if err != nil {
		t.Fatal(err)
	}
	by, err := Push(t.Context(), index, newRegistry(t)+"/plant/camfleet:1", true)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.NewDigest(by, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	back, err := remote.Index(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// of is the image of one platform.
func of(t *testing.T, index v1.ImageIndex, platform string) v1.Image {
	t.Helper()
	want, err := v1.ParsePlatform(platform)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range manifest.Manifests {
		if d.Platform.Equals(*want) {
			img, err := index.Image(d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return img
		}
	}
	t.Fatalf("the index has nothing for %s", platform)
	return nil
}

// TestImage pulls what was pushed, and looks at all there is in it.
func TestImage(t *testing.T) {
	t.Parallel()
	index := pulled(t)
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != len(platforms()) || manifest.MediaType != types.OCIImageIndex {
		t.Errorf("the index is a %s of %d images, want an OCI index of %d", manifest.MediaType, len(manifest.Manifests), len(platforms()))
	}
	for _, platform := range platforms() {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			img := of(t, index, platform)
			checkConfig(t, img, platform)
			dir := t.TempDir()
			unpack(t, img, dir)
			checkPrograms(t, dir, platform)
			if platform == Host() {
				t.Run("runs", func(t *testing.T) { checkRuns(t, dir) })
			}
			parsed, _ := v1.ParsePlatform(platform)
			size, err := Size(index, *parsed)
			if err != nil || size < 5<<20 || size > 60<<20 {
				t.Errorf("%d bytes have to be pulled (%v), want some 25 MB", size, err)
			}
			t.Logf("%s: %.1f MB to pull", platform, float64(size)/1e6)
		})
	}
}

func checkConfig(t *testing.T, img v1.Image, platform string) {
	t.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := config.Platform().String(); got != platform {
		t.Errorf("the image says it is for %s, want %s", got, platform)
	}
	c := config.Config
	if c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/camfleet"}) || len(c.Cmd) > 0 {
		t.Errorf("it runs %q %q as %q", c.Entrypoint, c.Cmd, c.User)
	}
	if c.Labels["org.opencontainers.image.version"] != version || c.Labels["org.opencontainers.image.title"] != "camfleet" {
		t.Errorf("labels are %v", c.Labels)
	}
	if !config.Created.Equal(epoch()) {
		t.Errorf("it was created %s, which makes each build another one", config.Created)
	}
	if media, err := img.MediaType(); media != types.OCIManifestSchema1 || err != nil {
		t.Errorf("it is a %s (%v)", media, err)
	}
}

// unpack writes the layers' files into dir, and holds each entry to what is promised.
func unpack(t *testing.T, img v1.Image, dir string) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range layers {
		content, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		r := tar.NewReader(content)
		for {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, h.Name)
			if h.Typeflag != tar.TypeReg || h.Mode != 0o755 || h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(epoch()) {
				t.Errorf("%s: type %c, mode %o, owner %d:%d, time %s", h.Name, h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime)
			}
			writeFile(t, filepath.Join(dir, filepath.Base(h.Name)), r)
		}
	}
	slices.Sort(names)
	if want := []string{"camfleet", "camfleet-worker"}; !slices.Equal(names, want) {
		t.Fatalf("the image holds %v, want %v and nothing else", names, want)
	}
}

func writeFile(t *testing.T, path string, content io.Reader) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, content); err != nil {
		t.Fatal(err)
	}
}

// checkPrograms: static, and of this platform.
func checkPrograms(t *testing.T, dir, platform string) {
	t.Helper()
	machine := map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64, "linux/arm/v7": elf.EM_ARM}[platform]
	for _, program := range programs {
		f, err := elf.Open(filepath.Join(dir, program))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Machine != machine || f.Type != elf.ET_EXEC {
			t.Errorf("%s is a %s for %s, want a static program for %s", program, f.Type, f.Machine, machine)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s is not static: it has a %s", program, p.Type)
			}
		}
		if libs, err := f.ImportedLibraries(); err != nil || len(libs) > 0 {
			t.Errorf("%s wants %v (%v)", program, libs, err)
		}
	}
}

// checkRuns starts the programs where there is nothing else, as the image's user.
func checkRuns(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("starting the programs in a root of their own takes root")
	}
	openUp(t, dir)
	for _, program := range programs {
		cmd := exec.CommandContext(t.Context(), "/"+program, "version")
		cmd.Dir, cmd.Env = "/", []string{"PATH=/"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), version) {
			t.Errorf("/%s version: %v\n%s", program, err, out)
		}
	}
}

// openUp lets everybody into a test's folder, up to the temporary folder.
func openUp(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != filepath.Dir(d) && d != filepath.Clean(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestProgramsBringAlong: an image has no /usr/share/zoneinfo and no /etc/ssl.
func TestProgramsBringAlong(t *testing.T) {
	t.Parallel()
	for program, want := range map[string][]string{
		"camfleet":        {"time/tzdata", "golang.org/x/crypto/x509roots/fallback"},
		"camfleet-worker": {"time/tzdata"},
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "camfleet.dev/cmd/"+program).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, dep := range want {
			if !slices.Contains(strings.Fields(string(out)), dep) {
				t.Errorf("%s does not import %s", program, dep)
			}
		}
	}
}

// TestReproducible builds the same source in another folder, with another environment.
func TestReproducible(t *testing.T) {
	index, err := built()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CGO_ENABLED", "1")
	t.Setenv("GOAMD64", "v3")
	t.Setenv("GOFLAGS", "-tags=other")
	again, err := Build(t.Context(), Options{Platforms: []string{Host()}, Version: version, Dir: copyModule(t)})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := digest(t, of(t, index, Host())), digest(t, of(t, again, Host())); a != b {
		t.Errorf("the same source gave %s, and then %s", a, b)
	}
	other, err := Build(t.Context(), Options{Platforms: []string{Host()}, Version: "v2"})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := digest(t, of(t, index, Host())), digest(t, of(t, other, Host())); a == b {
		t.Error("two versions have the same digest")
	}
}

func digest(t *testing.T, img v1.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// copyModule copies the module's source, without what Git knows of it.
func copyModule(t *testing.T) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	root, dir := filepath.Join(filepath.Dir(file), "..", ".."), t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "cmd", "compiler", "reconciler", "schema", "workers"} {
		if out, err := exec.CommandContext(t.Context(), "cp", "-r", filepath.Join(root, name), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return dir
}

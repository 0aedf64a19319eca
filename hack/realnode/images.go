package realnode

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// The images that every cluster's registry has.
const (
	pauseImage = "pause:1"
	toolImage  = "podtool:1"
)

// registryPort is in the test's own network namespace.
const registryPort = "5000"

// startRegistry serves a registry over plain HTTP, which the nodes pull from.
func startRegistry(ctx context.Context) (*http.Server, string, error) {
	at := net.JoinHostPort(address, registryPort)
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
	if err != nil {
		return nil, "", fmt.Errorf("starting the registry: %w", err)
	}
	s := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: 10 * time.Second}
	go s.Serve(l) //nolint:errcheck // Close ends it
	return s, at, nil
}

// Push puts an image into the registry and returns its reference there.
func (c *Cluster) Push(ctx context.Context, nameAndTag string, img v1.Image) (string, error) {
	ref, err := name.ParseReference(c.Registry+"/"+nameAndTag, name.Insecure)
	if err != nil {
		return "", fmt.Errorf("naming an image: %w", err)
	}
	if err := remote.Write(ref, img, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("pushing %s: %w", ref, err)
	}
	return ref.String(), nil
}

// pushOwn fills the registry.
func (c *Cluster) pushOwn(ctx context.Context) error {
	tool := map[string]string{"/podtool": c.tools["podtool"]}
	for tag, entry := range map[string][]string{pauseImage: {"/podtool", "pause"}, toolImage: {"/podtool", "serve"}} {
		img, err := newImage(tool, entry)
		if err != nil {
			return err
		}
		if _, err := c.Push(ctx, tag, img); err != nil {
			return err
		}
	}
	return nil
}

// ToolImage is the image of podtool, which tells over HTTP (port 8080) what a Pod sees.
func (c *Cluster) ToolImage() string { return c.Registry + "/" + toolImage }

// PushNginx puts an image of Debian's nginx, as it is installed here, into the registry,
// under a name such as nginx:1.28.
func (c *Cluster) PushNginx(ctx context.Context, nameAndTag string) (string, error) {
	path, err := lookUp("nginx")
	if err != nil {
		return "", fmt.Errorf("%w: nginx (Debian: nginx-light; make setup installs it)", errMissing)
	}
	files, err := withLibraries(ctx, path)
	if err != nil {
		return "", err
	}
	for _, f := range []string{"/etc/passwd", "/etc/group", "/etc/nsswitch.conf"} {
		files[f] = f
	}
	img, err := newImage(files, []string{"nginx", "-g", "daemon off;"})
	if err != nil {
		return "", err
	}
	return c.Push(ctx, nameAndTag, img)
}

var libraryPath = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// withLibraries are a program and the libraries that it is linked to, by their paths.
func withLibraries(ctx context.Context, program string) (map[string]string, error) {
	out, err := exec.CommandContext(ctx, "ldd", program).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("asking for the libraries of %s: %w: %s", program, err, out)
	}
	files := map[string]string{program: program}
	for _, match := range libraryPath.FindAllStringSubmatch(string(out), -1) {
		files[match[1]] = match[1]
	}
	return files, nil
}

// newImage makes an image of one layer from files: path in the image → path here.
func newImage(files map[string]string, entry []string) (v1.Image, error) {
	content, err := pack(files)
	if err != nil {
		return nil, fmt.Errorf("making an image: %w", err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
	if err != nil {
		return nil, fmt.Errorf("making an image: %w", err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, fmt.Errorf("making an image: %w", err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("making an image: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", architecture
	config.Config.Entrypoint = entry
	config.Config.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	return mutate.ConfigFile(img, config)
}

// pack makes a tar of files, with their folders.
func pack(files map[string]string) ([]byte, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	folders := map[string]bool{}
	var paths []string
	for p := range files {
		paths = append(paths, p)
		for d := filepath.Dir(p); d != "/"; d = filepath.Dir(d) {
			folders[d] = true
		}
	}
	folders["/tmp"] = true
	for d := range folders {
		paths = append(paths, d)
	}
	slices.Sort(paths) // folders before what is in them
	for _, p := range paths {
		header := &tar.Header{Name: p[1:], Typeflag: tar.TypeDir, Mode: 0o755}
		var content []byte
		if !folders[p] {
			var err error
			if content, err = os.ReadFile(files[p]); err != nil {
				return nil, err // names the file
			}
			header.Typeflag, header.Size = tar.TypeReg, int64(len(content))
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("packing %s: %w", p, err)
		}
		if _, err := w.Write(content); err != nil {
			return nil, fmt.Errorf("packing %s: %w", p, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	return buffer.Bytes(), nil
}

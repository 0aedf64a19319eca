// Package image makes the camfleet image: an OCI index for several platforms, of
// nothing but our two static binaries. No container engine takes part.
//
//	go build, per platform ─► one layer per program ─► image ─► index ─► archive (Write), registry (Push)
//
// The same source, version and Go toolchain give the same digest. There is no
// base image: certificate authorities and time zones are inside the programs.
package image

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// User is the user and group that the image runs as.
const User = "65532:65532"

// programs are what an image holds, in /, each in a layer of its own, so that
// they are pulled side by side.
var programs = []string{"camfleet-worker", "camfleet"}

// Options say what to build.
type Options struct {
	Platforms []string // such as linux/arm/v7; none means Platforms()
	Version   string   // what the programs answer to `version`; "" means dev
	Dir       string   // a folder of the module; "" means the working directory
}

// Platforms are those of the image that is released.
func Platforms() []string { return []string{"linux/amd64", "linux/arm64", "linux/arm/v7"} }

// Host is the platform of this machine.
func Host() string { return "linux/" + runtime.GOARCH }

// Build compiles the programs and returns the index, which is in memory.
// Go's build cache makes the second call fast.
func Build(ctx context.Context, o Options) (v1.ImageIndex, error) {
	if len(o.Platforms) == 0 {
		o.Platforms = Platforms()
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	labels := labels(o.Version)
	index := mutate.IndexMediaType(mutate.Annotations(empty.Index, labels).(v1.ImageIndex), types.OCIImageIndex)
	for _, name := range o.Platforms {
		platform, err := v1.ParsePlatform(name)
		if err != nil || platform.OS != "linux" {
			return nil, fmt.Errorf("%q is no platform of the image: want one such as linux/arm64", name)
		}
		img, err := build(ctx, o, *platform, labels)
		if err != nil {
			return nil, fmt.Errorf("the image for %s: %w", name, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return index, nil
}

// build makes the image of one platform.
func build(ctx context.Context, o Options, platform v1.Platform, labels map[string]string) (v1.Image, error) {
	dir, err := os.MkdirTemp("", "camfleet-image-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the programs: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // only a temporary folder
	if err := compile(ctx, o, platform, dir); err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, program := range programs {
		layer, err := newLayer(filepath.Join(dir, program))
		if err != nil {
			return nil, err
		}
		if img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: "camfleet: /" + program}}); err != nil {
			return nil, fmt.Errorf("adding /%s: %w", program, err)
		}
	}
	return mutate.ConfigFile(img, config(img, platform, labels))
}

// config is the image's configuration, with the layers that it has.
func config(img v1.Image, platform v1.Platform, labels map[string]string) *v1.ConfigFile {
	file, _ := img.ConfigFile() // of an image in memory
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Variant = platform.OS, platform.Architecture, platform.Variant
	file.Created = v1.Time{Time: epoch()}
	for i := range file.History {
		file.History[i].Created = file.Created
	}
	file.Config = v1.Config{
		Entrypoint: []string{"/camfleet"}, WorkingDir: "/", User: User,
		Env:    []string{"PATH=/"}, // so that `kubectl exec … -- camfleet` finds it
		Labels: maps.Clone(labels),
	}
	return file
}

func labels(version string) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "camfleet",
		"org.opencontainers.image.description": "GitOps for camera sites: the reconciler, and the workers of cameras",
		"org.opencontainers.image.version":     version,
	}
}

// epoch is the time of everything in an image: its own says nothing, and would
// make each build another one.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

// Size is what has to be pulled for a platform of an index, in bytes.
func Size(index v1.ImageIndex, platform v1.Platform) (int64, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return 0, fmt.Errorf("reading the index: %w", err)
	}
	at := slices.IndexFunc(manifest.Manifests, func(d v1.Descriptor) bool { return d.Platform != nil && d.Platform.Equals(platform) })
	if at < 0 {
		return 0, fmt.Errorf("the image is not built for %s", platform)
	}
	img, err := index.Image(manifest.Manifests[at].Digest)
	if err != nil {
		return 0, fmt.Errorf("reading the image of %s: %w", platform, err)
	}
	m, err := img.Manifest()
	if err != nil {
		return 0, fmt.Errorf("reading the image of %s: %w", platform, err)
	}
	size := manifest.Manifests[at].Size + m.Config.Size
	for _, l := range m.Layers {
		size += l.Size
	}
	return size, nil
}

package image

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Push puts an index into a registry, with the credentials of `docker login` if
// there are any. Insecure means plain HTTP. It returns the reference by digest.
func Push(ctx context.Context, index v1.ImageIndex, reference string, insecure bool) (string, error) {
	var options []name.Option
	if insecure {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(reference, options...)
	if err != nil {
		return "", fmt.Errorf("pushing the image: %w", err)
	}
	if err := remote.WriteIndex(ref, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return "", fmt.Errorf("pushing %s: %w", reference, err)
	}
	digest, err := index.Digest()
	if err != nil {
		return "", fmt.Errorf("reading the index: %w", err)
	}
	return ref.Context().Digest(digest.String()).String(), nil
}

// Write writes an index as one file, a tar of an OCI layout: what `ctr images
// import`, `docker load` and `skopeo copy oci-archive:` read. The name is the
// one that the image has after that. The file is whole, or not there.
func Write(index v1.ImageIndex, reference, path string) error {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return fmt.Errorf("naming the image: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".image-")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // only a temporary folder
	folder, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	// containerd names an image by the first, everybody else takes the second for its tag.
	named := layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          strings.Replace(ref.Name(), name.DefaultRegistry+"/", "docker.io/", 1),
		"org.opencontainers.image.ref.name": ref.Identifier(),
	})
	if err := folder.AppendIndex(index, named); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := pack(filepath.Join(dir, "layout"), filepath.Join(dir, "tar")); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(filepath.Join(dir, "tar"), path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// pack makes a tar of a folder: sorted, and without times and owners.
func pack(dir, path string) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	t := tar.NewWriter(out)
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		if d.IsDir() {
			return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: epoch(), Format: tar.FormatPAX})
		}
		return packFile(t, filepath.Join(dir, name), name)
	})
	if err != nil {
		return err
	}
	if err := t.Close(); err != nil {
		return err
	}
	return out.Close()
}

func packFile(t *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o644, ModTime: epoch(), Format: tar.FormatPAX}
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}

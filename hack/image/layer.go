package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layer is one program in a compressed tar, in memory, so that nothing of the
// file is needed later and it is compressed once only.
type layer struct {
	compressed []byte
	diff       v1.Hash // of the tar
}

// newLayer makes a layer of a program: root owns it, so that whoever runs it
// cannot change it.
func newLayer(path string) (v1.Layer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a program: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading a program: %w", err)
	}
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: filepath.Base(path), Size: info.Size(),
		Mode: 0o755, ModTime: epoch(), Format: tar.FormatPAX,
	}
	var out bytes.Buffer
	zipped, sum := gzip.NewWriter(&out), sha256.New()
	if err := writeTar(io.MultiWriter(zipped, sum), header, f); err != nil {
		return nil, fmt.Errorf("packing %s: %w", path, err)
	}
	if err := zipped.Close(); err != nil {
		return nil, fmt.Errorf("packing %s: %w", path, err)
	}
	return partial.CompressedToLayer(&layer{out.Bytes(), v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum.Sum(nil))}})
}

func writeTar(w io.Writer, header *tar.Header, content io.Reader) error {
	t := tar.NewWriter(w)
	if err := t.WriteHeader(header); err != nil {
		return err
	}
	if _, err := io.Copy(t, content); err != nil {
		return err
	}
	return t.Close()
}

// Digest implements partial.CompressedLayer, as the methods below do.
func (l *layer) Digest() (v1.Hash, error) {
	hash, _, err := v1.SHA256(bytes.NewReader(l.compressed))
	return hash, err
}

// DiffID is the digest of the tar, so that nobody unpacks it to find out.
func (l *layer) DiffID() (v1.Hash, error) { return l.diff, nil }

// Compressed is the layer as it is stored.
func (l *layer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.compressed)), nil
}

// Size is that of Compressed.
func (l *layer) Size() (int64, error) { return int64(len(l.compressed)), nil }

// MediaType is an OCI layer's.
func (l *layer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

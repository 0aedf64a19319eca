package page

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
)

//go:embed assets
var embedded embed.FS

// Assets are the page's files: index.html and what it uses. It is flat.
func Assets() fs.FS {
	sub, err := fs.Sub(embedded, "assets")
	if err != nil {
		panic(err) // "assets" is a valid name, by construction
	}
	return sub
}

// Index is the file that / shows, and Data what it reads.
const (
	Index = "index.html"
	Data  = "fleet.json"
)

// assetName is what a file of the page may be called; it is a key of a ConfigMap.
var assetName = regexp.MustCompile(`^` + asset + `$`)

// compressed reads all assets, each as name.gz, for nginx's gzip_static.
func compressed(fsys fs.FS) (map[string][]byte, error) {
	files, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("reading the page's files: %w", err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		if f.IsDir() || !assetName.MatchString(f.Name()) {
			return nil, fmt.Errorf("the page's file %q: only plain files named %s", f.Name(), asset)
		}
		b, err := fs.ReadFile(fsys, f.Name())
		if err != nil {
			return nil, fmt.Errorf("reading the page's file %s: %w", f.Name(), err)
		}
		if out[f.Name()+".gz"], err = compress(b); err != nil {
			return nil, fmt.Errorf("compressing the page's file %s: %w", f.Name(), err)
		}
	}
	return out, nil
}

// compress gives the same bytes every time: gzip's header has no time in it.
func compress(b []byte) ([]byte, error) {
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

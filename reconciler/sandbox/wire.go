package sandbox

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/internal/memfs"
)

// request is what the child is told beside the files.
type request struct {
	Options compiler.Options
	Memory  uint64 // bytes
	Seconds int    // CPU seconds
}

const (
	requestName = "request.json"
	filesPrefix = "files/"
	paxWhy      = "CAMFLEET.unreadable" // why a file has no content here
)

// read are the endings of files that a compilation can read: CUE, what CUE
// embeds, and kustomize's. A picture in the repository is nobody's input.
var read = []string{".cue", ".json", ".yaml", ".yml", ".toml", ".txt", ".conf"}

// send writes the request and the commit's files as a tar.
func send(w io.Writer, fsys fs.FS, req request) error {
	tw := tar.NewWriter(w)
	head, err := json.Marshal(req)
	if err != nil {
		return err
	}
	if err := put(tw, tar.Header{Name: requestName}, head); err != nil {
		return err
	}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && hidden(name, req.Options.Absent):
			return fs.SkipDir
		case d.IsDir() && name != ".":
			return put(tw, tar.Header{Name: filesPrefix + name + "/", Typeflag: tar.TypeDir}, nil)
		case d.Type()&fs.ModeSymlink != 0: // refused, by name
			return put(tw, tar.Header{Name: filesPrefix + name, Typeflag: tar.TypeSymlink, Linkname: "nowhere"}, nil)
		case !d.Type().IsRegular() || !slices.Contains(read, path.Ext(name)):
			return nil
		}
		return putFile(tw, fsys, name)
	})
	if err != nil {
		return fmt.Errorf("sending the commit to the compiler: %w", err)
	}
	return tw.Close()
}

func hidden(name string, hide []string) bool {
	site, ok := strings.CutPrefix(name, "sites/")
	return ok && slices.Contains(hide, site) || path.Base(name) == ".git"
}

func putFile(tw *tar.Writer, fsys fs.FS, name string) error {
	content, err := fs.ReadFile(fsys, name)
	if err != nil {
		// The compiler says it, with its place, if it needs this file.
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return put(tw, tar.Header{Name: filesPrefix + name, PAXRecords: map[string]string{paxWhy: err.Error()}}, nil)
	}
	return put(tw, tar.Header{Name: filesPrefix + name}, content)
}

func put(tw *tar.Writer, h tar.Header, content []byte) error {
	h.Size = int64(len(content))
	h.Mode = 0o444
	h.Format = tar.FormatPAX
	if err := tw.WriteHeader(&h); err != nil {
		return err
	}
	_, err := tw.Write(content)
	return err
}

// receive reads what send wrote.
func receive(r io.Reader) (request, fs.FS, error) {
	var req request
	files := memfs.New()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			files.Sort()
			return req, files, nil
		} else if err != nil {
			return req, nil, fmt.Errorf("reading the commit: %w", err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			return req, nil, fmt.Errorf("reading %s: %w", h.Name, err)
		}
		name, isFile := strings.CutPrefix(h.Name, filesPrefix)
		switch why := h.PAXRecords[paxWhy]; {
		case !isFile:
			if err := json.Unmarshal(content, &req); err != nil {
				return req, nil, fmt.Errorf("reading the request: %w", err)
			}
		case !fs.ValidPath(strings.TrimSuffix(name, "/")):
			return req, nil, fmt.Errorf("%q is not a path", name)
		case h.Typeflag == tar.TypeDir:
			files.AddDir(strings.TrimSuffix(name, "/"))
		case h.Typeflag == tar.TypeSymlink:
			files.AddLink(name)
		case why != "":
			files.AddUnreadable(name, 0, object.Unreadable(why))
		default:
			files.AddFile(name, content)
		}
	}
}

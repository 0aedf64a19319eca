package source

import (
	"context"
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"camfleet.dev/reconciler/internal/memfs"
)

// reader copies a commit's tree into memory, so that nothing that happens to
// the repository afterwards (gc, a force-push) can change what was read.
type reader struct {
	objects objects
	limits  Limits
	entries int
	bytes   int64
	fs      *memfs.FS
	refused []Refusal
	kept    fetched // what was read
}

const (
	maxTree    = 4 << 20 // one folder
	maxPath    = 1024
	maxRefused = 100 // a message about more helps nobody
)

func (r *reader) refusal(file, why string) {
	if len(r.refused) < maxRefused {
		r.refused = append(r.refused, Refusal{printable(file), why})
	}
}

// tree reads a folder's own entries.
func (r *reader) tree(hash plumbing.Hash, name string) (*object.Tree, error) {
	o, err := r.objects.object(hash, plumbing.TreeObject, maxTree)
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", name, err)
	}
	if o.Data == nil {
		return nil, refuse(fmt.Sprintf("its folder %s has too many files", name))
	}
	r.kept[hash] = o
	raw := &plumbing.MemoryObject{}
	raw.SetType(plumbing.TreeObject)
	if _, err := raw.Write(o.Data); err != nil {
		return nil, fmt.Errorf("folder %s: %w", name, err)
	}
	t := &object.Tree{}
	if err := t.Decode(raw); err != nil {
		return nil, refuse(fmt.Sprintf("its folder %s is damaged (%s)", name, err))
	}
	return t, nil
}

// find goes down to a folder below a tree.
func (r *reader) find(hash plumbing.Hash, folder string) (plumbing.Hash, error) {
	if folder == "" || folder == "." {
		return hash, nil
	}
	for name := range strings.SplitSeq(folder, "/") {
		t, err := r.tree(hash, name)
		if err != nil {
			return hash, err
		}
		hash = plumbing.ZeroHash
		for _, e := range t.Entries {
			if e.Name == name && e.Mode == filemode.Dir {
				hash = e.Hash
			}
		}
		if hash.IsZero() {
			return hash, fmt.Errorf("it has no folder %q: look at --path", folder)
		}
	}
	return hash, nil
}

// read reads every regular file below tree. All symbolic links, submodules
// and unusable names are collected into one error that names them: a link
// could point out of the repository, a submodule into another one.
func (r *reader) read(ctx context.Context, tree plumbing.Hash) error {
	if err := r.folder(ctx, ".", tree); err != nil {
		return err
	}
	switch {
	case len(r.refused) > 0:
		return &RefusedError{Files: r.refused}
	case r.entries == 0:
		// The empty tree is what mistakes make; as a fleet it would mean: delete everything.
		return refuse("it holds no files; a commit that empties the repository is not taken for a fleet without cameras")
	}
	r.fs.Sort()
	return nil
}

func (r *reader) folder(ctx context.Context, at string, hash plumbing.Hash) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	tree, err := r.tree(hash, at)
	if err != nil {
		return err
	}
	names := make(map[string]bool, len(tree.Entries))
	for i := range tree.Entries {
		e := &tree.Entries[i]
		if r.entries++; r.entries > r.limits.Files {
			return refuse(fmt.Sprintf("more than %d files: a fleet's repository holds CUE files, keep the rest elsewhere", r.limits.Files))
		}
		name := path.Join(at, e.Name)
		why := badName(e.Name)
		if names[e.Name] {
			why = "a name that is there twice"
		}
		if names[e.Name] = true; why != "" {
			r.refusal(name, "has "+why+"; rename it")
			continue
		}
		if len(name) > maxPath {
			return refuse(fmt.Sprintf("its folder %.60s… holds names of more than %d bytes", name, maxPath))
		}
		if err := r.entry(ctx, name, e); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) entry(ctx context.Context, name string, e *object.TreeEntry) error {
	switch e.Mode {
	case filemode.Dir:
		r.fs.AddDir(name)
		return r.folder(ctx, name, e.Hash)
	case filemode.Regular, filemode.Executable, filemode.Deprecated:
		return r.file(name, e.Hash)
	case filemode.Symlink:
		r.refusal(name, "is a symbolic link: camfleet follows none, put the file itself there")
	case filemode.Submodule:
		r.refusal(name, "is a submodule: camfleet reads none, put the files themselves there")
	default:
		r.refusal(name, "has the unknown file mode "+e.Mode.String()+"; put a plain file there")
	}
	return nil
}

func (r *reader) file(name string, hash plumbing.Hash) error {
	o, err := r.objects.object(hash, plumbing.BlobObject, r.limits.FileBytes)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.kept[hash] = o
	if o.Data == nil && o.Size > 0 {
		r.fs.AddUnreadable(name, o.Size, fmt.Errorf("it has %d bytes, at most %d are read; split it", o.Size, r.limits.FileBytes))
		return nil
	}
	if r.bytes += o.Size; r.bytes > r.limits.Bytes {
		return refuse(fmt.Sprintf("its files are larger than %d bytes together: a fleet's repository holds CUE files, keep the rest elsewhere", r.limits.Bytes))
	}
	r.fs.AddFile(name, o.Data)
	return nil
}

// badName says why an entry cannot be a file of a fleet; git itself allows
// most of these names, and each has been an escape in some tool.
func badName(name string) string {
	switch {
	case name == "" || name == "." || name == "..":
		return "no name"
	case strings.EqualFold(name, ".git"):
		return "a .git inside a commit"
	case strings.ContainsAny(name, "/\\\x00"):
		return "a name with a slash, backslash or NUL"
	case !utf8.ValidString(name):
		return "a name that is not UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "a name with a control character"
	}
	return ""
}

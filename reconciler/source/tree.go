package source

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"camfleet.dev/reconciler/internal/memfs"
)

// reader copies a commit's tree into memory, so that nothing that happens to
// the repository afterwards (gc, a force-push) can change what was read.
type reader struct {
	limits Limits
	files  int
	bytes  int64
	fs     *memfs.FS
	refuse []Refusal
}

// Refusal is a file that a commit may not have.
type Refusal struct{ File, Why string }

// RefusedError is a commit that is refused as a whole, for all these reasons.
type RefusedError struct{ Files []Refusal }

func (e *RefusedError) Error() string {
	lines := make([]string, len(e.Files))
	for i, f := range e.Files {
		lines[i] = f.File + " " + f.Why
	}
	return strings.Join(lines, "; ")
}

func (r *reader) refusal(file, why string) { r.refuse = append(r.refuse, Refusal{file, why}) }

// readTree reads every regular file below tree. All symbolic links,
// submodules and unusable names are collected into one error that names them:
// a link could point out of the repository, a submodule into another one.
func readTree(ctx context.Context, tree *object.Tree, limits Limits) (*memfs.FS, error) {
	r := &reader{limits: limits, fs: memfs.New()}
	if err := r.folder(ctx, ".", tree); err != nil {
		return nil, err
	}
	if len(r.refuse) > 0 {
		return nil, &RefusedError{r.refuse}
	}
	r.fs.Sort()
	return r.fs, nil
}

func (r *reader) folder(ctx context.Context, at string, tree *object.Tree) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range tree.Entries {
		e := &tree.Entries[i]
		if r.files++; r.files > r.limits.Files {
			return fmt.Errorf("more than %d files: a fleet's repository holds CUE files, keep the rest elsewhere", r.limits.Files)
		}
		name := path.Join(at, e.Name)
		if why := badName(e.Name); why != "" {
			r.refusal(strings.ToValidUTF8(name, "\uFFFD"), "has "+why+"; rename it")
			continue
		}
		if err := r.entry(ctx, name, tree, e); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) entry(ctx context.Context, name string, tree *object.Tree, e *object.TreeEntry) error {
	switch e.Mode {
	case filemode.Dir:
		r.fs.AddDir(name)
		sub, err := tree.Tree(e.Name)
		if err != nil {
			return fmt.Errorf("reading folder %s: %w", name, err)
		}
		return r.folder(ctx, name, sub)
	case filemode.Regular, filemode.Executable, filemode.Deprecated:
		return r.file(name, tree, e)
	case filemode.Symlink:
		r.refusal(name, "is a symbolic link: camfleet follows none, put the file itself there")
	case filemode.Submodule:
		r.refusal(name, "is a submodule: camfleet reads none, put the files themselves there")
	default:
		r.refusal(name, "has the unknown file mode "+e.Mode.String()+"; put a plain file there")
	}
	return nil
}

func (r *reader) file(name string, tree *object.Tree, e *object.TreeEntry) error {
	f, err := tree.TreeEntryFile(e)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if f.Size > r.limits.FileBytes {
		why := fmt.Errorf("it has %d bytes, at most %d are read; split it", f.Size, r.limits.FileBytes)
		r.fs.AddUnreadable(name, f.Size, why)
		return nil
	}
	if r.bytes += f.Size; r.bytes > r.limits.Bytes {
		return fmt.Errorf("its files are larger than %d bytes together: a fleet's repository holds CUE files, keep the rest elsewhere", r.limits.Bytes)
	}
	in, err := f.Reader()
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	defer in.Close()
	// One byte more than the object says it has: a lying header is an error, not a bomb.
	content, err := io.ReadAll(io.LimitReader(in, f.Size+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if int64(len(content)) != f.Size {
		return fmt.Errorf("reading %s: the repository says %d bytes and has other", name, f.Size)
	}
	r.fs.AddFile(name, content)
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
	}
	return ""
}

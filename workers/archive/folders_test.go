package archive

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// raced is a disk on which somebody else makes each folder whose parent has
// just been found or made, a moment before us.
type raced struct {
	OS
	synced []string
}

func (r *raced) Mkdir(op, name string) error {
	_ = os.Mkdir(name, folderMode)
	return r.OS.Mkdir(op, name)
}

func (r *raced) SyncDir(op, name string) error {
	r.synced = append(r.synced, name)
	return r.OS.SyncDir(op, name)
}

// TestFoldersOfTwoCameras: the cameras of a new site begin together, and the
// one that comes second to their site's folder records as well.
func TestFoldersOfTwoCameras(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	site := filepath.Join(root, "archive", "gate")
	r := &raced{}
	if err := makeFolders(r, "open", filepath.Join(site, "north")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(site, "north")); err != nil || !info.IsDir() {
		t.Fatalf("the camera's folder: %v, %v", info, err)
	}
	for _, above := range []string{filepath.Join(root, "archive"), site} {
		if !slices.Contains(r.synced, above) {
			t.Errorf("%s was not made durable, only %q", above, r.synced)
		}
	}
}

// TestFolderBelowADeadLink: a link that leads nowhere is an error, no endless try.
func TestFolderBelowADeadLink(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.Symlink(filepath.Join(root, "gone"), filepath.Join(root, "archive")); err != nil {
		t.Fatal(err)
	}
	err := makeFolders(OS{}, "open", filepath.Join(root, "archive", "gate"))
	if !os.IsNotExist(err) {
		t.Errorf("below a dead link: %v, want %v", err, fs.ErrNotExist)
	}
}

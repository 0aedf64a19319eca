package supervisor

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"camfleet.dev/schema"
)

// folder is a configuration folder that is followed.
type folder struct {
	t    *testing.T
	dir  string
	sets chan map[Key]schema.WorkerCamera
}

// follow starts to follow dir; the log goes to the test's output.
func follow(t *testing.T, dir string, rescan time.Duration) *folder {
	t.Helper()
	f := &folder{t: t, dir: dir, sets: make(chan map[Key]schema.WorkerCamera, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	following := &Folder{
		Dir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Rescan: rescan,
		Set: func(m map[Key]schema.WorkerCamera) { f.sets <- m },
	}
	go func() { done <- following.Follow(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f
}

// until waits for a set whose cameras are these.
func (f *folder) until(want ...string) map[Key]schema.WorkerCamera {
	f.t.Helper()
	var got []string
	for {
		select {
		case set := <-f.sets:
			got = nil
			for key := range set {
				got = append(got, key.Camera)
			}
			if slices.Sort(got); slices.Equal(got, want) {
				return set
			}
		case <-time.After(10 * time.Second):
			f.t.Fatalf("cameras %v, want %v", got, want)
		}
	}
}

func (f *folder) write(file, camera string) {
	f.t.Helper()
	writeFile(f.t, filepath.Join(f.dir, file), named(camera))
}

func named(camera string) string { return strings.Replace(good, "north", camera, 1) }

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFolderIsFollowed(t *testing.T) {
	t.Parallel()
	f := follow(t, t.TempDir(), time.Hour)
	f.until()
	f.write("gate.north.json", "north")
	f.until("north")
	f.write("gate.south.json", "south")
	f.until("north", "south")
	f.write("other.json", "south") // twice: the first by name counts
	writeFile(t, filepath.Join(f.dir, "notes.txt"), named("west"))
	writeFile(t, filepath.Join(f.dir, ".hidden.json"), named("west"))
	if err := os.Mkdir(filepath.Join(f.dir, "folder.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(f.dir, "gate.north.json"), "{")
	f.write("gate.east.json", "east")
	f.until("east", "north", "south") // the last good north is kept
	if err := os.Remove(filepath.Join(f.dir, "gate.north.json")); err != nil {
		t.Fatal(err)
	}
	f.until("east", "south")
	if err := os.Rename(filepath.Join(f.dir, "gate.east.json"), filepath.Join(f.dir, "gate.north.json")); err != nil {
		t.Fatal(err)
	}
	f.until("east", "south")
}

// TestConfigMapSwap: a mounted ConfigMap changes by renaming the symlink ..data.
func TestConfigMapSwap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	swap := func(version, camera string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, version, "camera.json"), named(camera))
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	swap("..2026_11_23", "north")
	if err := os.Symlink("..data/camera.json", filepath.Join(dir, "camera.json")); err != nil {
		t.Fatal(err)
	}
	f := follow(t, dir, time.Hour)
	f.until("north")
	swap("..2026_11_24", "south")
	f.until("south")
}

// TestRescan: what no event told is found; a folder that goes away changes nothing.
func TestRescan(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "config")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "north.json"), named("north"))
	f := follow(t, dir, 5*time.Millisecond)
	f.until("north")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	select {
	case set := <-f.sets:
		t.Errorf("a folder that went away means %v", slices.Collect(maps.Keys(set)))
	case <-time.After(100 * time.Millisecond):
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f.write("south.json", "south")
	f.until("south")
	f.write("east.json", "east")
	f.until("east", "south")
}

func TestFolderMustExist(t *testing.T) {
	t.Parallel()
	f := &Folder{Dir: filepath.Join(t.TempDir(), "nothing"), Log: slog.New(slog.DiscardHandler), Rescan: time.Hour}
	if err := f.Follow(t.Context()); err == nil || !strings.Contains(err.Error(), "--config") {
		t.Errorf("error %v", err)
	}
}

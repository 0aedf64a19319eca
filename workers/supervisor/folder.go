package supervisor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"camfleet.dev/schema"
)

const (
	// settle is how long after an event the folder is read: a rename makes
	// several events.
	settle = 20 * time.Millisecond
	// DefaultRescan is how often a folder is read without an event: events
	// can get lost, and some file systems have none.
	DefaultRescan = 15 * time.Second
	// maxFiles bounds a folder.
	maxFiles = 4096
)

// Folder follows a configuration folder: every *.json in it is one camera's
// WorkerCamera. In a Pod it is a mounted ConfigMap, whose files are symlinks
// through ..data, which is swapped at once.
type Folder struct {
	Dir    string
	Log    *slog.Logger
	Rescan time.Duration
	// Set is told the cameras when they changed.
	Set func(map[Key]schema.WorkerCamera)

	files map[string]*file
	last  error // of reading the folder
}

// file is what is known of one file: its content, and the last good
// configuration, which is kept when the content is not good any more.
type file struct {
	content string
	err     error
	good    *schema.WorkerCamera
}

// Follow reads the folder, and again on every change, until ctx is done. The
// first reading must succeed; after that an unreadable folder changes nothing.
func (f *Folder) Follow(ctx context.Context) error {
	f.files = map[string]*file{}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("following %s: %w", f.Dir, err)
	}
	defer watcher.Close() //nolint:errcheck // nothing was written
	if err := watcher.Add(f.Dir); err != nil {
		return fmt.Errorf("following %s: %w; --config names a folder with one *.json per camera", f.Dir, err)
	}
	if err := f.read(true); err != nil {
		return err
	}
	rescan := time.NewTicker(f.Rescan)
	defer rescan.Stop()
	var quiet <-chan time.Time // running since the first event that was not read yet
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-watcher.Events:
			if quiet == nil {
				quiet = time.After(settle)
			}
			continue
		case err := <-watcher.Errors:
			f.Log.Warn("following the configuration folder", "error", err)
		case <-rescan.C:
			_ = watcher.Add(f.Dir) // the folder may have been made anew; read says what is wrong
		case <-quiet:
			quiet = nil
		}
		f.complain(f.read(false))
	}
}

// complain says an error of the folder once.
func (f *Folder) complain(err error) {
	if err != nil && (f.last == nil || f.last.Error() != err.Error()) {
		f.Log.Error("the configuration folder cannot be read; the cameras go on as they are", "error", err)
	}
	f.last = err
}

// read reads all files and tells Set when anything changed, or when first.
func (f *Folder) read(first bool) error {
	names, err := f.list()
	if err != nil {
		return err
	}
	changed := first
	seen := map[string]bool{}
	for _, name := range names {
		seen[name] = true
		if f.readFile(name) {
			changed = true
		}
	}
	for name := range f.files {
		if !seen[name] {
			delete(f.files, name)
			changed = true
		}
	}
	if changed {
		f.Set(f.desired(names))
	}
	return nil
}

func (f *Folder) list() ([]string, error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") && e.Name()[0] != '.' {
			names = append(names, e.Name())
		}
	}
	if len(names) > maxFiles {
		return nil, fmt.Errorf("%s holds %d configurations; one worker runs at most %d cameras", f.Dir, len(names), maxFiles)
	}
	return names, nil
}

// readFile tells whether the file's configuration changed. What is wrong with
// it is said once per content.
func (f *Folder) readFile(name string) bool {
	known := f.files[name]
	if known == nil {
		known = &file{}
		f.files[name] = known
	}
	path := filepath.Join(f.Dir, name)
	data, err := readBounded(path)
	if err == nil && known.err == nil && known.good != nil && string(data) == known.content {
		return false
	}
	var cfg schema.WorkerCamera
	if err == nil {
		cfg, err = Parse(path, data)
	}
	if err != nil {
		if known.err == nil || known.err.Error() != err.Error() {
			kept := "the camera is not run"
			if known.good != nil {
				kept = "the last good configuration is kept"
			}
			f.Log.Error("configuration refused; "+kept, "error", err)
		}
		known.err = err
		return false
	}
	known.content, known.err, known.good = string(data), nil, &cfg
	return true
}

func readBounded(path string) ([]byte, error) {
	// Opening a named pipe would wait for its writer.
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("reading a configuration: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading a configuration: %w", err)
	}
	defer file.Close() //nolint:errcheck // read only
	data, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("reading a configuration: %w", err)
	}
	return data, nil
}

// desired are the cameras of all files that have a good configuration. Of two
// files for the same camera the first, by name, counts.
func (f *Folder) desired(names []string) map[Key]schema.WorkerCamera {
	cameras := map[Key]schema.WorkerCamera{}
	from := map[Key]string{}
	for _, name := range names { // sorted
		cfg := f.files[name].good
		if cfg == nil {
			continue
		}
		key := Key{cfg.Site, cfg.Name}
		if other, twice := from[key]; twice {
			f.Log.Error("two files configure the same camera; the first counts", "camera", key, "first", other, "second", name)
			continue
		}
		cameras[key], from[key] = *cfg, name
	}
	return cameras
}

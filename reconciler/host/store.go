package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/host/internal/disk"
)

// record is an object on disk: STATE/objects/<namespace>/<apiVersion>.<Kind>.<name>.json.
type record struct {
	Fleet  string        `json:"fleet"` // the fleet's uid
	Object object.Object `json:"object"`
}

// store keeps a fleet's objects on disk, and a copy of them in memory. Each
// file is replaced as a whole, so that a crash leaves every object as it was
// or as it should be.
type store struct {
	dir  string
	disk disk.Disk

	mu      sync.Mutex
	objects map[object.ID]record
	version uint64 // grows with each change of objects
}

const (
	recordSuffix = ".json"
	// unreadable marks a file that was damaged: kept for people to look at,
	// and no object any more, so that the next sync writes it again.
	unreadable = ".unreadable"
)

// openStore reads the objects below dir and tidies up after a crash.
func openStore(dir string, d disk.Disk, log *slog.Logger) (*store, error) {
	s := &store{dir: dir, disk: d, objects: map[object.ID]record{}}
	if err := d.Sweep(dir); err != nil {
		return nil, err
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case e.IsDir() || !strings.HasSuffix(path, recordSuffix):
			return nil
		}
		return s.read(path, log)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the objects in %s: %w", dir, err)
	}
	return s, nil
}

func (s *store) read(path string, log *slog.Logger) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var r record
	err = json.Unmarshal(data, &r)
	if err == nil {
		if want, bad := s.path(r.Object.ID); bad != nil || want != path || len(r.Object.Body) == 0 {
			err = errors.New("its content is not what its name says")
		}
	}
	if err != nil {
		log.Error("an object on disk is damaged; it is put aside and written again at the next sync", "file", path, "error", err)
		return os.Rename(path, path+unreadable)
	}
	s.objects[r.Object.ID] = r
	return nil
}

var (
	nameRule    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,198}[a-z0-9])?$`)
	kindRule    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,62}$`)
	versionRule = regexp.MustCompile(`^([a-z0-9][-a-z0-9.]*/)?v[a-z0-9]+$`)
)

// path is the file of an object. Every part of it is checked: names come from Git.
func (s *store) path(id object.ID) (string, error) {
	if !nameRule.MatchString(id.Name) || !kindRule.MatchString(id.Kind) || !versionRule.MatchString(id.APIVersion) ||
		id.Namespace != "" && !nameRule.MatchString(id.Namespace) {
		return "", fmt.Errorf("%q (%s) cannot be the name of an object: use a-z, 0-9 and -", id, id.APIVersion)
	}
	namespace := id.Namespace
	if namespace == "" {
		namespace = "_"
	}
	name := strings.ReplaceAll(id.APIVersion, "/", "_") + "." + id.Kind + "." + id.Name + recordSuffix
	return filepath.Join(s.dir, namespace, name), nil
}

// list returns a fleet's objects, sorted.
func (s *store) list(fleet string) []engine.Live {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []engine.Live
	for _, r := range s.objects {
		if o := &r.Object; r.Fleet == fleet {
			out = append(out, engine.Live{ID: o.ID, Site: o.Site, Camera: o.Camera, Role: o.Role, Hash: o.Hash, Body: o.Body})
		}
	}
	slices.SortFunc(out, func(a, b engine.Live) int { return a.ID.Compare(b.ID) })
	return out
}

// all returns every object, sorted, whichever fleet it belongs to, and the
// version that this is.
func (s *store) all() ([]object.Object, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]object.Object, 0, len(s.objects))
	for _, r := range s.objects {
		out = append(out, r.Object)
	}
	slices.SortFunc(out, func(a, b object.Object) int { return a.ID.Compare(b.ID) })
	return out, s.version
}

func (s *store) now() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// apply takes a step: the disk first, then the copy in memory.
func (s *store) apply(ctx context.Context, step engine.Step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	id := step.ID()
	path, err := s.path(id)
	if err != nil {
		return err
	}
	if step.Action == engine.Deleted {
		if err := s.disk.Remove(path); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.objects, id)
		s.version++
		return nil
	}
	return s.put(path, step)
}

func (s *store) put(path string, step engine.Step) error {
	r := record{Object: *step.Want}
	var err error
	if r.Fleet, err = fleetOf(step.Want.Body); err != nil {
		return err
	}
	s.mu.Lock()
	old, exists := s.objects[step.Want.ID]
	s.mu.Unlock()
	if exists && old.Fleet != r.Fleet {
		return fmt.Errorf("it belongs to another fleet (uid %s): give each fleet a state folder of its own (--dir)", old.Fleet)
	}
	if exists && step.Action == engine.Created {
		return errors.New("it exists already")
	}
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding it: %w", err)
	}
	if err := s.disk.Replace(path, data); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[step.Want.ID] = r
	s.version++
	return nil
}

func fleetOf(body json.RawMessage) (string, error) {
	var o struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return "", fmt.Errorf("reading it: %w", err)
	}
	return o.Metadata.Labels[object.LabelFleet], nil
}

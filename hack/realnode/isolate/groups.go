package isolate

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// hierarchy is one mounted tree of control groups: version 1 has one per controller.
type hierarchy struct {
	point   string // where it is mounted
	kind    string // cgroup or cgroup2
	options string // for another mount of the same
	own     string // the group of this process, as a path below point
}

func (h hierarchy) unified() bool { return h.kind == "cgroup2" }

// hierarchies reads what is mounted and where this process is.
func hierarchies() []hierarchy {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	var found []hierarchy
	for line := range strings.Lines(string(mounts)) {
		mount, special, ok := strings.Cut(line, " - ")
		fields, last := strings.Fields(mount), strings.Fields(special)
		if !ok || len(fields) < 5 || len(last) < 3 || (last[0] != "cgroup" && last[0] != "cgroup2") {
			continue
		}
		h := hierarchy{point: fields[4], kind: last[0]}
		if h.own, ok = h.group(string(groups), last[2]); ok {
			found = append(found, h)
		}
	}
	return slices.DeleteFunc(found, func(h hierarchy) bool { return h.point == "" })
}

// group finds this process in the lines ID:CONTROLLERS:PATH, and notes the options.
func (h *hierarchy) group(lines, super string) (string, bool) {
	for line := range strings.Lines(lines) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		switch controllers := fields[1]; {
		case h.unified() && controllers == "":
			return fields[2], true
		case !h.unified() && controllers != "" && hasAll(super, controllers):
			h.options = controllers
			if strings.HasPrefix(controllers, "name=") {
				h.options = "none," + controllers
			}
			return fields[2], true
		}
	}
	return "", false
}

func hasAll(options, wanted string) bool {
	have := strings.Split(options, ",")
	for _, w := range strings.Split(wanted, ",") {
		if !slices.Contains(have, w) {
			return false
		}
	}
	return true
}

// groups is one control group in each hierarchy, below this process's own: in the
// namespace they are the roots, so that everything the tests make is in them.
type groups map[string]hierarchy // by path

func newGroups(name string) groups {
	g := groups{}
	for _, h := range hierarchies() {
		own := h.own
		if h.unified() {
			own = "/" // groups with processes cannot have groups with controllers
		}
		g[filepath.Join(h.point, own, name)] = h
	}
	return g
}

func (g groups) create() error {
	for path, h := range g {
		if err := os.Mkdir(path, 0o755); err != nil {
			return fmt.Errorf("making a control group: %w", err)
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} { // must be set before a process joins
			value, err := os.ReadFile(filepath.Join(filepath.Dir(path), file))
			if err != nil || h.unified() {
				continue
			}
			if err := os.WriteFile(filepath.Join(path, file), value, 0o600); err != nil {
				return fmt.Errorf("setting up a control group: %w", err)
			}
		}
	}
	return nil
}

// Group makes a control group of this name in every hierarchy, for a node to be
// the root of its Pods' groups.
func Group(name string) error { return newGroups(name).create() }

// join moves this process into the groups.
func (g groups) join() error {
	for path := range g {
		if err := os.WriteFile(filepath.Join(path, "cgroup.procs"), []byte("0"), 0o600); err != nil {
			return fmt.Errorf("joining a control group: %w", err)
		}
	}
	return nil
}

// remove removes the groups with all below them. Only empty ones can be: the kernel
// refuses others, and says when processes that were killed are gone a moment late.
func (g groups) remove() {
	for path := range g {
		for range 100 {
			if removeTree(path) {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func removeTree(path string) bool {
	var all []string
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, p)
		}
		return nil
	})
	if err != nil {
		return false
	}
	done := true
	for _, p := range slices.Backward(all) {
		if err := syscall.Rmdir(p); err != nil && !errors.Is(err, syscall.ENOENT) {
			done = false
		}
	}
	return done
}

// hasFilesystem tells whether the kernel knows a file system.
func hasFilesystem(name string) bool {
	f, err := os.Open("/proc/filesystems")
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 0 && fields[len(fields)-1] == name {
			return true
		}
	}
	return false
}

package isolate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// first is the first process of the namespaces: it sets them up, runs the tests and
// collects what others leave behind (containerd's shims). When it ends, all ends.
func first() (int, error) {
	runtime.LockOSThread() // a thread has its own cgroup namespace, and hands it to its children
	defer runtime.UnlockOSThread()
	dir := os.TempDir()
	if err := setUp(dir, hierarchies()); err != nil {
		return refused, fmt.Errorf("setting up namespaces: %w", err)
	}
	cmd := again(stageInside)
	return run(cmd, func() (int, error) { return reap(cmd) })
}

// reap waits for every child until cmd has ended, and returns its exit code.
func reap(cmd *exec.Cmd) (int, error) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return 1, fmt.Errorf("waiting for the tests: %w", err)
		}
		if err == nil && pid == cmd.Process.Pid {
			return code(status), nil
		}
	}
}

// setUp makes the namespaces what the tests see as their machine.
func setUp(dir string, all []hierarchy) error {
	for _, step := range []func() error{
		func() error { return mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") },
		newGroups(filepath.Base(dir)).join,
		func() error { return unix.Unshare(unix.CLONE_NEWCGROUP) },
		func() error { return mount("proc", "/proc", "proc", 0, "") },
		func() error { return groupFilesystems(all) },
		func() error { return ownTunables(dir) },
		func() error { return ownFolders(dir) },
		func() error { return exec.Command("ip", "link", "set", "lo", "up").Run() },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", source, target, err)
	}
	return nil
}

// groupFilesystems mounts the control groups again, so that their roots are the
// namespace's, over sysfs, which then tells of this network namespace.
func groupFilesystems(all []hierarchy) error {
	for _, h := range all {
		if err := unix.Unmount(h.point, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmounting %s: %w", h.point, err)
		}
	}
	const root = "/sys/fs/cgroup"
	if err := mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return err
	}
	if len(all) > 1 || !all[0].unified() { // version 1, and hybrid: a folder of hierarchies
		if err := mount("cgroup", root, "tmpfs", 0, "mode=755"); err != nil {
			return err
		}
	}
	for _, h := range all {
		if err := os.MkdirAll(h.point, 0o755); err != nil {
			return fmt.Errorf("making a mount point: %w", err)
		}
		if err := mount(h.kind, h.point, h.kind, 0, h.options); err != nil {
			return err
		}
		if err := linkControllers(h); err != nil {
			return err
		}
		if h.unified() && len(all) == 1 {
			if err := delegate(h.point); err != nil {
				return err
			}
		}
	}
	return nil
}

// linkControllers gives each controller of a hierarchy with several its own name.
func linkControllers(h hierarchy) error {
	names := strings.Split(h.options, ",")
	if len(names) < 2 || names[0] == "none" {
		return nil
	}
	for _, name := range names {
		link := filepath.Join(filepath.Dir(h.point), name)
		if err := os.Symlink(filepath.Base(h.point), link); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("naming a controller: %w", err)
		}
	}
	return nil
}

// delegate lets groups below the root of a version 2 hierarchy have controllers,
// which the root cannot while processes are in it.
func delegate(point string) error {
	leaf := filepath.Join(point, "tests")
	if err := os.Mkdir(leaf, 0o755); err != nil {
		return fmt.Errorf("making a control group: %w", err)
	}
	if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0o600); err != nil {
		return fmt.Errorf("joining a control group: %w", err)
	}
	controllers, err := os.ReadFile(filepath.Join(point, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("reading the controllers: %w", err)
	}
	for _, name := range strings.Fields(string(controllers)) {
		if err := os.WriteFile(filepath.Join(point, "cgroup.subtree_control"), []byte("+"+name), 0o600); err != nil {
			return fmt.Errorf("enabling the controller %s: %w", name, err)
		}
	}
	return nil
}

// tunables are the machine's settings that kubelet changes; they have no namespace.
var tunables = []string{
	"kernel/keys/root_maxbytes", "kernel/keys/root_maxkeys", "kernel/panic", "kernel/panic_on_oops",
	"vm/overcommit_memory", "vm/panic_on_oom",
}

// ownTunables puts files over them: what kubelet writes stays in these.
func ownTunables(dir string) error {
	for _, name := range tunables {
		real := filepath.Join("/proc/sys", name)
		value, err := os.ReadFile(real)
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return fmt.Errorf("reading a setting of the kernel: %w", err)
		}
		fake := filepath.Join(dir, "sysctl-"+filepath.Base(name))
		if err := os.WriteFile(fake, value, 0o600); err != nil {
			return fmt.Errorf("copying a setting of the kernel: %w", err)
		}
		if err := mount(fake, real, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// ownFolders lets what is written to /run and /var stay with the tests: kubelet,
// containerd and CNI have fixed places there.
func ownFolders(dir string) error {
	upper, work := filepath.Join(dir, "var"), filepath.Join(dir, "work")
	for _, d := range []string{upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return fmt.Errorf("making a folder: %w", err)
		}
	}
	if err := mount("run", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	return mount("var", "/var", "overlay", 0, fmt.Sprintf("lowerdir=/var,upperdir=%s,workdir=%s", upper, work))
}

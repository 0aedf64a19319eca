package realnode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/realnode/isolate"
)

// Main runs the tests of a package that starts clusters. The result is the exit code.
func Main(m *testing.M) int {
	if os.Getenv(cptest.Require) == "off" {
		return m.Run()
	}
	return isolate.Main(m)
}

// pluginDir is where Debian has the CNI plugins.
const pluginDir = "/usr/lib/cni"

// tools are the programs of a node, by name, as absolute paths.
type tools map[string]string

// The programs that build.sh makes, those of the control plane's build, and Debian's.
var (
	built      = []string{"containerd", "containerd-shim-runc-v2", "coredns", "podtool"}
	kubernetes = []string{"kubelet", "kube-proxy"}
	debian     = map[string]string{"runc": "runc", "ip": "iproute2", "iptables": "iptables"}
)

// errMissing is what is not there and could be.
var errMissing = errors.New("no real node")

// find returns the programs, or all that is missing.
func find(ctx context.Context) (tools, error) {
	found, missing := tools{}, []string{}
	for name, pkg := range debian {
		path, err := lookUp(name)
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s (Debian: %s; make setup installs it)", name, pkg))
		}
		found[name] = path
	}
	for _, plugin := range []string{"bridge", "host-local", "loopback"} {
		if _, err := os.Stat(filepath.Join(pluginDir, plugin)); err != nil {
			missing = append(missing, fmt.Sprintf("%s/%s (Debian: containernetworking-plugins; make setup installs it)", pluginDir, plugin))
		}
	}
	folder, err := buildFolder(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range built {
		found[name] = filepath.Join(folder, name)
		if _, err := os.Stat(found[name]); err != nil {
			missing = append(missing, name+" (hack/realnode/build.sh makes it)")
		}
	}
	for _, name := range kubernetes {
		if found[name], err = cptest.Program(ctx, name); err != nil {
			missing = append(missing, fmt.Sprintf("%s (%v)", name, err))
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%w: missing %s", errMissing, strings.Join(missing, ", "))
	}
	return found, nil
}

// lookUp finds a program of the system, which not everybody has in PATH.
func lookUp(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + name)
}

// buildFolder asks the build script, which alone knows what makes two builds the same.
func buildFolder(ctx context.Context) (string, error) {
	root, err := cptest.ModuleRoot()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(root, "hack", "realnode", "build.sh"), "--where").Output()
	if err != nil {
		return "", fmt.Errorf("asking hack/realnode/build.sh for its folder: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// need ends a test where no real node can run: skipped, with the reason. What could be
// installed or built is a failure in CI, and with CAMFLEET_CONTROLPLANE=require.
func need(t testing.TB) tools {
	t.Helper()
	if os.Getenv(cptest.Require) == "off" {
		t.Skipf("%v: %s is off", errMissing, cptest.Require)
	}
	if reason := isolate.Missing(); reason != nil && !isolate.Inside() {
		t.Skipf("%v: %v", errMissing, reason) // nothing that could be installed
	}
	found, err := find(t.Context())
	if err == nil && !isolate.Inside() {
		err = errors.New("TestMain has to call realnode.Main")
	}
	switch {
	case err == nil:
		return found
	case errors.Is(err, errMissing) && os.Getenv("CI") == "" && os.Getenv(cptest.Require) != "require":
		t.Skip(err)
	}
	t.Fatal(err)
	return nil
}

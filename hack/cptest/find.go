package cptest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Require is the variable that makes a missing control plane a failure: with
// CAMFLEET_CONTROLPLANE=require a test fails where it would be skipped. With
// CAMFLEET_CONTROLPLANE=off it is skipped even where one is built.
const Require = "CAMFLEET_CONTROLPLANE"

// ErrNotBuilt tells that the programs are not there yet.
var ErrNotBuilt = errors.New("the control plane is not built: run `make controlplane`")

// programs finds each component: in KUBEBUILDER_ASSETS, or where
// hack/controlplane/build.sh puts it.
func programs(ctx context.Context) (map[Component]string, error) {
	if os.Getenv(Require) == "off" {
		return nil, fmt.Errorf("%w (%s is off)", ErrNotBuilt, Require)
	}
	built, err := buildFolder(ctx)
	if err != nil {
		return nil, err
	}
	return search([]string{os.Getenv("KUBEBUILDER_ASSETS"), built})
}

// Program finds a program that is built with the control plane but no part of it,
// such as kubelet. What is missing is ErrNotBuilt.
func Program(ctx context.Context, name string) (string, error) {
	built, err := buildFolder(ctx)
	if err != nil {
		return "", err
	}
	found, err := lookUp([]string{os.Getenv("KUBEBUILDER_ASSETS"), built}, Component(name))
	return found[Component(name)], err
}

func search(folders []string) (map[Component]string, error) {
	return lookUp(folders, append([]Component{kubectl, stages}, order...)...)
}

func lookUp(folders []string, names ...Component) (map[Component]string, error) {
	found := map[Component]string{}
	for _, c := range names {
		for _, folder := range folders {
			path, err := exec.LookPath(filepath.Join(folder, string(c)))
			if folder != "" && err == nil {
				found[c] = path
				break
			}
		}
		if found[c] == "" {
			return nil, fmt.Errorf("%w (no %s in %s)", ErrNotBuilt, c, strings.Join(folders, string(os.PathListSeparator)))
		}
	}
	return found, nil
}

// buildFolder asks the build script, which alone knows what makes two builds the same.
func buildFolder(ctx context.Context) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(root, "hack", "controlplane", "build.sh"), "--where").Output()
	if err != nil {
		return "", fmt.Errorf("asking hack/controlplane/build.sh for its folder: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// ModuleRoot is the folder of go.mod above the test's, in which `go test` starts it.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("finding the module: no go.mod above the working directory")
		}
	}
}

// refuse ends a test for which there is no control plane: skipped when it is not
// built and nobody requires it, failed otherwise.
func refuse(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrNotBuilt) && os.Getenv(Require) != "require" {
		t.Skipf("%v; %s=require makes this a failure", err, Require)
	}
	t.Fatal(err)
}

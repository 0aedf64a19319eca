package image

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// compile builds the programs for a platform into dir. What is in Git besides
// the source, and where the source lies, does not change them.
func compile(ctx context.Context, o Options, platform v1.Platform, dir string) error {
	if !plain.MatchString(o.Version) {
		return fmt.Errorf("%q is no version: letters, digits and .-+_ only", o.Version)
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=" + o.Version, "-o", dir}
	for _, p := range programs {
		args = append(args, "camfleet.dev/cmd/"+p)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = o.Dir
	cmd.Env = append(os.Environ(), environment(platform)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// plain is what may be handed to the linker.
var plain = regexp.MustCompile(`^[A-Za-z0-9.+_-]{1,128}$`)

// environment is what makes go build static programs for a platform, and the
// same ones whatever the caller's environment says.
func environment(platform v1.Platform) []string {
	env := []string{"CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOOS=" + platform.OS, "GOARCH=" + platform.Architecture, "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off"}
	if platform.Architecture == "arm" {
		env = append(env, "GOARM="+strings.TrimPrefix(platform.Variant, "v"))
	}
	return env
}

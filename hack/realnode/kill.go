package realnode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kill kills the processes of a Pod's containers, behind the cluster's back.
func (c *Cluster) Kill(ctx context.Context, namespace, pod string) error {
	p, err := c.Client.CoreV1().Pods(namespace).Get(ctx, pod, meta.GetOptions{})
	if err != nil {
		return fmt.Errorf("killing a Pod's processes: %w", err)
	}
	killed := 0
	for _, s := range p.Status.ContainerStatuses {
		_, id, _ := strings.Cut(s.ContainerID, "://")
		if id == "" {
			continue
		}
		n, err := killGroup(id)
		if err != nil {
			return fmt.Errorf("killing the container %s of %s: %w", s.Name, pod, err)
		}
		killed += n
	}
	if killed == 0 {
		return fmt.Errorf("killing the processes of %s: there are none", pod)
	}
	return nil
}

// killGroup kills the processes whose control group's path has a container's name in it.
func killGroup(name string) (int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return 0, err
	}
	killed := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte(name)) {
			continue // or it ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return killed, err
		}
		killed++
	}
	return killed, nil
}

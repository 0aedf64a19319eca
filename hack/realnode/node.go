package realnode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/daemon"
	"camfleet.dev/hack/realnode/isolate"
)

// Node is a real node: a kubelet with a containerd of its own.
type Node struct {
	Name    string
	Address string // of the node

	dir                 string // short: names of sockets have at most 107 bytes
	containerd, kubelet *daemon.Process
}

// newNode writes the files of node i.
func newNode(c *Cluster, i int) (*Node, error) {
	n := &Node{Name: "node-" + strconv.Itoa(i), Address: nodeAddress(i), dir: filepath.Join(c.dir, strconv.Itoa(i))}
	for _, d := range []string{"cni", "logs", "kubelet", "plugins", "hosts/" + c.Registry} {
		if err := os.MkdirAll(filepath.Join(n.dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("making the folder of %s: %w", n.Name, err)
		}
	}
	if err := isolate.Group(n.Name); err != nil {
		return nil, err
	}
	if err := writeCNI(n.file("cni"), i); err != nil {
		return nil, err
	}
	config, err := json.MarshalIndent(n.kubeletConfig(), "", "  ") // JSON is YAML
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration of %s: %w", n.Name, err)
	}
	for name, text := range map[string]string{
		"kubelet.yaml":    string(config),
		"containerd.toml": n.containerdConfig(c),
		"resolv.conf":     "nameserver " + address + "\n",
		"hosts/" + c.Registry + "/hosts.toml": fmt.Sprintf("server = %[1]q\n[host.%[1]q]\n  capabilities = [\"pull\", \"resolve\"]\n",
			"http://"+c.Registry),
	} {
		if err := os.WriteFile(n.file(name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("writing the files of %s: %w", n.Name, err)
		}
	}
	env := []string{"HOME=" + n.dir, "PATH=" + filepath.Dir(c.tools["containerd"]) + ":/usr/sbin:/usr/bin:/sbin:/bin"}
	n.containerd = &daemon.Process{
		Name: "containerd of " + n.Name, Path: c.tools["containerd"], Args: []string{"--config", n.file("containerd.toml")},
		Env: env, Log: n.file("containerd.log"),
	}
	n.kubelet = &daemon.Process{
		Name: "kubelet of " + n.Name, Path: c.tools["kubelet"], Env: env, Log: n.file("kubelet.log"),
		Args: []string{
			"--config=" + n.file("kubelet.yaml"), "--kubeconfig=" + c.UserKubeconfig(n.user().Name),
			"--root-dir=" + n.file("kubelet"), "--cert-dir=" + n.file("kubelet/pki"),
			"--hostname-override=" + n.Name, "--node-ip=" + n.Address,
		},
	}
	return n, nil
}

// user is the node's identity, with exactly a node's rights.
func (n *Node) user() cptest.User {
	return cptest.User{Name: "system:node:" + n.Name, Groups: []string{"system:nodes"}}
}

func (n *Node) file(name string) string { return filepath.Join(n.dir, name) }

func (n *Node) socket() string { return n.file("containerd.sock") }

func (n *Node) containerdConfig(c *Cluster) string {
	return fmt.Sprintf(`version = 3
root = %q
state = %q
disabled_plugins = ['io.containerd.nri.v1.nri']
[grpc]
  address = %q
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = [%q]
    conf_dir = %q
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = %q
[plugins.'io.containerd.cri.v1.images']
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = %q
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = %q
`, n.file("root"), n.file("state"), n.socket(), pluginDir, n.file("cni"), c.tools["runc"], c.Registry+"/"+pauseImage, n.file("hosts"))
}

type object map[string]any

func (n *Node) kubeletConfig() object {
	return object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"address": n.Address, "port": 10250, "healthzPort": 0, "readOnlyPort": 0,
		// The namespace is closed: nobody but the test can ask.
		"authentication": object{"anonymous": object{"enabled": true}, "webhook": object{"enabled": false}},
		"authorization":  object{"mode": "AlwaysAllow"},

		"containerRuntimeEndpoint": "unix://" + n.socket(),
		"failCgroupV1":             false, "cgroupDriver": "cgroupfs", "cgroupRoot": "/" + n.Name, "enforceNodeAllocatable": []string{},
		"failSwapOn": false, "oomScoreAdj": 0,
		"clusterDNS": []string{address}, "clusterDomain": "cluster.local", "resolvConf": n.file("resolv.conf"),
		"podLogsDir": n.file("logs"), "volumePluginDir": n.file("plugins"),
		// A disk that is nearly full is the machine's business here.
		"evictionHard": object{
			"memory.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%",
			"imagefs.available": "0%", "imagefs.inodesFree": "0%",
		},
		"imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
		"serializeImagePulls":      false,
		"nodeLeaseDurationSeconds": 8,    // a node is gone soon (--node-monitor-grace-period); 40 s on most
		"syncFrequency":            "5s", // how soon a Pod sees that its ConfigMap changed; a minute on most nodes
	}
}

// start starts containerd and the kubelet.
func (n *Node) start(ctx context.Context) error {
	if err := n.containerd.Start(); err != nil {
		return err
	}
	err := poll(ctx, "containerd listens", func(context.Context) error {
		if _, err := n.containerd.State(); err != nil {
			return stop(err)
		}
		_, err := os.Stat(n.socket())
		return err
	})
	if err != nil {
		return err
	}
	return n.kubelet.Start()
}

// StopKubelet stops the kubelet as a node that falls silent: its Pods go on.
func (n *Node) StopKubelet(ctx context.Context) error { return n.kubelet.Stop(ctx, syscall.SIGKILL) }

// StartKubelet starts it again.
func (n *Node) StartKubelet() error { return n.kubelet.Start() }

// Crash ends the node as a power cut does: everything that runs on it is gone, and
// nobody says so.
func (n *Node) Crash(ctx context.Context) error {
	err := errors.Join(n.kubelet.Stop(ctx, syscall.SIGKILL), n.containerd.Stop(ctx, syscall.SIGKILL))
	if err != nil {
		return err
	}
	if _, err := killGroup("/" + n.Name + "/"); err != nil {
		return fmt.Errorf("ending what runs on %s: %w", n.Name, err)
	}
	return os.Remove(n.socket()) // start waits for the next one
}

// Restart starts it again after a crash.
func (n *Node) Restart(ctx context.Context) error { return n.start(ctx) }

// close stops both; what had ended by itself is an error. Pods end with the namespace.
func (n *Node) close(ctx context.Context) error {
	var errs []error
	for _, p := range []*daemon.Process{n.kubelet, n.containerd} {
		_, err := p.State()
		errs = append(errs, err, p.Stop(ctx, syscall.SIGKILL))
	}
	return errors.Join(errs...)
}

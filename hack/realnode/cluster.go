package realnode

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/daemon"
)

// The longest that a start and a stop may take, on a slow and busy machine.
const (
	startTime = 4 * time.Minute
	stopTime  = 30 * time.Second
)

// architecture is the one that images are for.
const architecture = runtime.GOARCH

// Options are a cluster's.
type Options struct {
	Nodes   int            // real nodes node-0 …; 0 means 1
	Control cptest.Options // of the control plane; Nodes, Address and Users are ours
}

// Cluster is a running cluster.
type Cluster struct {
	*cptest.Cluster
	Client   clientset.Interface // as the administrator
	Nodes    []*Node
	Address  string // of this machine as nodes and Pods reach it
	Registry string // host:port of a registry over plain HTTP

	tools     tools
	dir       string
	registry  *http.Server
	services  []*daemon.Process
	log       func(format string, args ...any)
	endVolume func()
}

// Start starts the cluster of a test binary: there is one, because its addresses are
// fixed and its Pods end with the namespaces. Where it cannot be, the test is skipped.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := &Cluster{Address: address, tools: need(t), log: t.Logf}
	began := time.Now()
	t.Cleanup(func() {
		if t.Failed() {
			c.dump(t)
		}
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	if err := c.start(ctx, o); errors.Is(err, errKernel) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Logf("cluster with %d real nodes started in %.1f s", len(c.Nodes), time.Since(began).Seconds())
	return c
}

func (c *Cluster) start(ctx context.Context, o Options) error {
	count := max(o.Nodes, 1)
	if err := addBridge(ctx, count); err != nil {
		return err
	}
	var err error
	if c.dir, err = os.MkdirTemp("", "n"); err != nil { // removed with all others by package isolate
		return fmt.Errorf("making the nodes' folder: %w", err)
	}
	if c.registry, c.Registry, err = startRegistry(ctx); err != nil {
		return err
	}
	if err := c.startControl(ctx, o.Control, count); err != nil {
		return err
	}
	if err := c.useLocalVolumes(ctx); err != nil {
		return err
	}
	if err := c.pushOwn(ctx); err != nil {
		return err
	}
	for i := range count {
		node, err := newNode(c, i)
		if err != nil {
			return err
		}
		c.Nodes = append(c.Nodes, node)
		if err := node.start(ctx); err != nil {
			return err
		}
	}
	if err := c.startServices(ctx); err != nil {
		return err
	}
	volumes, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	c.endVolume = func() { end(); <-done }
	go func() { defer close(done); c.provision(volumes) }()
	return c.waitReady(ctx)
}

func (c *Cluster) startControl(ctx context.Context, o cptest.Options, nodes int) error {
	o.Nodes, o.Address, o.Users = 0, address, serviceUsers()
	for i := range nodes {
		o.Users = append(o.Users, (&Node{Name: fmt.Sprintf("node-%d", i)}).user())
	}
	flags := map[cptest.Component][]string{cptest.APIServer: {
		"--kubelet-preferred-address-types=InternalIP", // names of nodes are in no DNS
		"--endpoint-reconciler-type=lease",             // Pods reach the apiserver by its Service
	}, cptest.ControllerManager: {"--node-monitor-grace-period=10s"}}
	for name, more := range o.Flags {
		flags[name] = append(flags[name], more...)
	}
	o.Flags = flags
	dir := filepath.Join(c.dir, "control")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("making the control plane's folder: %w", err)
	}
	var err error
	if c.Cluster, err = cptest.New(ctx, dir, o); err != nil {
		return err
	}
	c.Client, err = clientset.NewForConfig(c.Config(c.AdminToken))
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

// Config is a client's configuration for a bearer token.
func (c *Cluster) Config(token string) *rest.Config {
	return &rest.Config{Host: c.Host, BearerToken: token, QPS: -1, TLSClientConfig: rest.TLSClientConfig{CAData: c.CA}}
}

func (c *Cluster) startServices(ctx context.Context) error {
	dns, err := c.dns(ctx)
	if err != nil {
		return err
	}
	c.services = []*daemon.Process{c.proxy(), dns}
	for _, p := range c.services {
		if err := p.Start(); err != nil {
			return err
		}
	}
	return nil
}

// waitReady waits until nodes are Ready and names are answered.
func (c *Cluster) waitReady(ctx context.Context) error {
	for _, n := range c.Nodes {
		err := poll(ctx, n.Name+" is Ready", func(ctx context.Context) error {
			if err := c.ended(); err != nil {
				return stop(err)
			}
			return c.nodeReady(ctx, n.Name)
		})
		if err != nil {
			return err
		}
	}
	return poll(ctx, "DNS answers", c.dnsAnswers)
}

func (c *Cluster) nodeReady(ctx context.Context, name string) error {
	node, err := c.Client.CoreV1().Nodes().Get(ctx, name, meta.GetOptions{})
	if err != nil {
		return err
	}
	last := "nothing yet"
	for _, condition := range node.Status.Conditions {
		if condition.Type != core.NodeReady {
			continue
		}
		if condition.Status == core.ConditionTrue && len(node.Spec.Taints) == 0 {
			return nil
		}
		last = condition.Message
	}
	return fmt.Errorf("kubelet says: %s", last)
}

// processes are all that runs for the nodes.
func (c *Cluster) processes() []*daemon.Process {
	all := c.services
	for _, n := range c.Nodes {
		all = append(all, n.containerd, n.kubelet)
	}
	return all
}

// ended tells what ended by itself.
func (c *Cluster) ended() error {
	for _, p := range c.processes() {
		if _, err := p.State(); err != nil {
			return err
		}
	}
	return nil
}

// close stops everything but Pods, which end with the namespaces.
func (c *Cluster) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	var errs []error
	if c.endVolume != nil {
		c.endVolume()
	}
	for _, n := range c.Nodes {
		errs = append(errs, n.close(ctx))
	}
	for _, p := range c.services {
		_, err := p.State()
		errs = append(errs, err, p.Stop(ctx, syscall.SIGKILL))
	}
	if c.Cluster != nil {
		errs = append(errs, c.Cluster.Close())
	}
	if c.registry != nil {
		errs = append(errs, c.registry.Close())
	}
	return errors.Join(errs...)
}

// dump shows what each log complains about.
func (c *Cluster) dump(t testing.TB) {
	for _, p := range c.processes() {
		t.Logf("%s complained:\n%s", p.Name, p.Complaints())
	}
}

package cptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"camfleet.dev/hack/daemon"
)

// The longest that a start and a stop may take, on a slow and busy machine.
const (
	startTime = 2 * time.Minute
	stopTime  = 30 * time.Second
)

// Options are a cluster's; the zero value is one without nodes.
type Options struct {
	Nodes   int                    // fake nodes, named node-0 …, of endless size
	Stages  string                 // kwok Stage objects (YAML) instead of its own "fast" ones
	Audit   bool                   // write AuditLog
	Address string                 // of the apiserver, which must be this machine's; "" means 127.0.0.1
	Flags   map[Component][]string // added to a component's own, so that they win
	Users   []User                 // who else has a token, such as real nodes
}

// User is an identity with a bearer token, which UserKubeconfig holds.
type User struct {
	Name   string // as RBAC knows it; also the name of its kubeconfig
	Groups []string
}

// Cluster is a running control plane.
type Cluster struct {
	Host           string // https://127.0.0.1:port
	CA             []byte // certificate of the authority that signed the apiserver's, PEM
	CAFile         string // the same in a file
	AdminToken     string // bearer token of somebody who may do everything
	KubeconfigFile string // of the same
	AuditLog       string // one JSON audit.k8s.io/v1 Event per answered request; "" without Options.Audit
	Dir            string // state and logs (<component>.log)

	address                  string
	port, etcdPort, peerPort int
	kubectl                  string
	processes                map[Component]*daemon.Process
	reserved                 []io.Closer
	client                   *client

	closing sync.Once
	closed  error
}

// Start starts a cluster for one test and stops it after. Where the programs are
// not built the test is skipped, or fails when CAMFLEET_CONTROLPLANE=require.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	began := time.Now()
	c, err := New(t.Context(), t.TempDir(), o)
	if err != nil {
		refuse(t, err)
	}
	t.Logf("control plane with %d nodes started in %.1f s", o.Nodes, time.Since(began).Seconds())
	t.Cleanup(func() {
		if t.Failed() {
			c.dump(t)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// New starts a cluster whose files are in dir, which exists, and returns when its
// nodes are Ready. The caller closes it. Where the programs are not built the
// error is ErrNotBuilt.
func New(ctx context.Context, dir string, o Options) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	paths, err := programs(ctx)
	if err != nil {
		return nil, err
	}
	c, err := prepare(ctx, dir, o, paths)
	if err == nil {
		err = c.start(ctx, o.Nodes)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// prepare reserves ports and writes files; nothing runs yet.
func prepare(ctx context.Context, dir string, o Options, paths map[Component]string) (*Cluster, error) {
	c := &Cluster{Dir: dir, address: o.Address, kubectl: paths[kubectl], processes: map[Component]*daemon.Process{}}
	if c.address == "" {
		c.address = "127.0.0.1"
	}
	for _, p := range []struct {
		port    *int
		address string
	}{{&c.port, c.address}, {&c.etcdPort, "127.0.0.1"}, {&c.peerPort, "127.0.0.1"}} {
		port, held, err := reserve(p.address)
		if err != nil {
			return c, err
		}
		*p.port, c.reserved = port, append(c.reserved, held)
	}
	c.Host = "https://" + net.JoinHostPort(c.address, strconv.Itoa(c.port))
	c.CAFile = c.file(caFile)
	if o.Audit {
		c.AuditLog = c.file("audit.log")
	}
	var err error
	if c.CA, err = writeCertificates(dir, c.address, time.Now()); err != nil {
		return c, err
	}
	if err := c.writeFiles(ctx, o, paths[stages]); err != nil {
		return c, err
	}
	c.client = newClient(c.Host, c.CA, c.AdminToken)
	for name, flags := range c.flags() {
		c.processes[name] = &daemon.Process{
			Name: string(name), Path: paths[name], Args: append(flags, o.Flags[name]...), Env: c.env(),
			Log: filepath.Join(dir, string(name)+".log"),
		}
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, nodes int) error {
	for _, name := range order {
		if err := c.Run(ctx, name); err != nil {
			return err
		}
		if name == APIServer {
			if err := c.holdKwok(ctx); err != nil {
				return err
			}
		}
	}
	if err := c.addStorageClass(ctx); err != nil {
		return err
	}
	if err := c.AddNodes(ctx, nodes); err != nil {
		return err
	}
	return c.waitUsable(ctx, nodes)
}

// Run starts a component that was stopped, with the same state and port, and waits
// until etcd or the apiserver answers.
func (c *Cluster) Run(ctx context.Context, name Component) error {
	p, err := c.process(name)
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	switch name {
	case Etcd:
		return c.poll(ctx, "etcd is healthy", c.etcdHealthy)
	case APIServer:
		return c.poll(ctx, "the apiserver is ready", c.apiserverReady)
	}
	return nil
}

// Stop sends a component the signal and waits until it has ended; SIGKILL is a
// crash. Others keep running, as they do in a cluster.
func (c *Cluster) Stop(ctx context.Context, name Component, sig syscall.Signal) error {
	p, err := c.process(name)
	if err != nil {
		return err
	}
	return p.Stop(ctx, sig)
}

// PID is a component's process, 0 when it does not run: SIGSTOP makes it hang.
func (c *Cluster) PID(name Component) int {
	p, err := c.process(name)
	if err != nil {
		return 0
	}
	pid, _ := p.State()
	return pid
}

func (c *Cluster) process(name Component) (*daemon.Process, error) {
	p, ok := c.processes[name]
	if !ok {
		return nil, fmt.Errorf("no component %q; there are %v", name, order)
	}
	return p, nil
}

// Close kills everything, and reports the components that had ended by themselves.
// Every call reports the same.
func (c *Cluster) Close() error {
	c.closing.Do(func() { c.closed = c.close() })
	return c.closed
}

func (c *Cluster) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	var errs []error
	for _, name := range slices.Backward(order) {
		if p := c.processes[name]; p != nil {
			_, err := p.State()
			errs = append(errs, err, p.Stop(ctx, syscall.SIGKILL))
		}
	}
	if c.client != nil {
		c.client.http.CloseIdleConnections()
	}
	for _, r := range c.reserved {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// dump shows what each log complains about.
func (c *Cluster) dump(t testing.TB) {
	for _, name := range order {
		t.Logf("%s complained:\n%s", name, c.processes[name].Complaints())
	}
}

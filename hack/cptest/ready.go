package cptest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// kwok manages the nodes that have this annotation; others are left alone.
const (
	fakeAnnotation = "kwok.x-k8s.io/node"
	fakeValue      = "fake"
	provisioner    = "camfleet.dev/fake" // see hack/controlplane/volume.yaml
)

// parallel is how many nodes are created at a time.
const parallel = 8

// every is how often something is looked at that is waited for.
const every = 50 * time.Millisecond

// poll waits until check has no error. It ends early when a component ended by itself.
func (c *Cluster) poll(ctx context.Context, what string, check func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		last := check(ctx)
		if last == nil {
			return nil
		}
		for _, p := range c.processes {
			if _, err := p.State(); err != nil {
				return fmt.Errorf("waiting until %s: %w", what, err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w; last: %w", what, ctx.Err(), last)
		}
	}
}

func (c *Cluster) etcdHealthy(ctx context.Context) error {
	return ok(c.client.do(ctx, http.MethodGet, "http://127.0.0.1:"+strconv.Itoa(c.etcdPort)+"/health", nil))
}

func (c *Cluster) apiserverReady(ctx context.Context) error {
	return ok(c.client.do(ctx, http.MethodGet, c.Host+"/readyz", nil))
}

// waitUsable waits until a test can create a Pod and see it run: the namespace
// "default" has its service account (from the controller manager), and nodes are Ready.
func (c *Cluster) waitUsable(ctx context.Context, nodes int) error {
	err := c.poll(ctx, "the default service account exists", func(ctx context.Context) error {
		return ok(c.client.do(ctx, http.MethodGet, c.Host+"/api/v1/namespaces/default/serviceaccounts/default", nil))
	})
	if err != nil {
		return err
	}
	return c.poll(ctx, "the nodes are Ready", func(ctx context.Context) error {
		ready, err := c.readyNodes(ctx)
		if err == nil && ready < nodes {
			err = fmt.Errorf("%d of %d nodes are Ready", ready, nodes)
		}
		return err
	})
}

func (c *Cluster) readyNodes(ctx context.Context) (int, error) {
	body, err := c.client.do(ctx, http.MethodGet, c.Host+"/api/v1/nodes?resourceVersion=0", nil)
	if err != nil {
		return 0, err
	}
	var list struct {
		Items []struct {
			Spec struct {
				Taints []struct{ Key string }
			}
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return 0, fmt.Errorf("reading the nodes: %w", err)
	}
	ready := 0
	for _, n := range list.Items {
		for _, cond := range n.Status.Conditions {
			if cond.Type == "Ready" && cond.Status == "True" && len(n.Spec.Taints) == 0 {
				ready++
			}
		}
	}
	return ready, nil
}

// AddNodes adds fake nodes node-0 … of n, those that are not there yet. A test that
// wants other nodes creates them itself, with the annotation kwok.x-k8s.io/node=fake.
func (c *Cluster) AddNodes(ctx context.Context, n int) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range n {
		g.Go(func() error {
			name := "node-" + strconv.Itoa(i)
			return c.create(ctx, "/api/v1/nodes", object{
				"apiVersion": "v1", "kind": "Node",
				"metadata": object{
					"name":        name,
					"annotations": object{fakeAnnotation: fakeValue},
					"labels":      object{"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
				},
			})
		})
	}
	return g.Wait()
}

// addStorageClass makes claims without a class get a (fake) volume when a Pod wants them.
func (c *Cluster) addStorageClass(ctx context.Context) error {
	return c.create(ctx, "/apis/storage.k8s.io/v1/storageclasses", object{
		"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
		"metadata":    object{"name": "fake", "annotations": object{"storageclass.kubernetes.io/is-default-class": "true"}},
		"provisioner": provisioner, "reclaimPolicy": "Retain", "volumeBindingMode": "WaitForFirstConsumer",
	})
}

type object map[string]any

// create creates an object; one that is there already is left as it is.
func (c *Cluster) create(ctx context.Context, path string, o object) error {
	_, err := c.client.do(ctx, http.MethodPost, c.Host+path, o)
	var status *statusError
	if errors.As(err, &status) && status.code == http.StatusConflict {
		return nil
	}
	return err
}

func ok(_ []byte, err error) error { return err }

// Package control is how people and a reconciler in a cluster talk: through one
// ConfigMap, and a Lease that says which replica may write.
//
//	people ── annotations ──► ConfigMap camfleet ──► Desk ──► Orders
//	people ◄── Reader ◄── ConfigMap camfleet-status ◄── Desk.Publish
//	                      Lease camfleet ◄── Lead, and Guard in front of every write
//
// The rights of the cluster decide who may give orders. DESIGN.md has the rules.
package control

import (
	"errors"
	"fmt"
	"os"

	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Annotations of the ConfigMap with which people give orders. They are state:
// an order holds as long as its annotation is there.
const (
	// AnnotationApprove names the commit whose held changes may happen.
	AnnotationApprove = "camfleet.dev/approve"
	// AnnotationSuspend stops applying; its value says why.
	AnnotationSuspend = "camfleet.dev/suspend"
	// AnnotationWake makes the reconciler look at its source when it changes.
	AnnotationWake = "camfleet.dev/wake"
)

// What the ConfigMaps hold.
const (
	KeyNotes      = "notes.json"      // of NAME: what must survive a crash
	KeyStatus     = "status.json.gz"  // of NAME-status: a status.Status
	KeyConditions = "conditions.json" // of NAME-status: its conditions, for whoever has only kubectl
	KeySummary    = "summary"         // of NAME-status: the same for people
)

// DefaultName and DefaultNamespace are where a reconciler is, if nobody says otherwise.
const (
	DefaultName      = "camfleet"
	DefaultNamespace = "camfleet-system"
)

// manager is the field manager of the reconciler's own writes here.
const manager = "camfleet"

// StatusName is the name of the ConfigMap that a reconciler reports in.
func StatusName(name string) string { return name + "-status" }

// Client is the part of a Kubernetes API that is used here.
type Client struct {
	Core   coreclient.CoreV1Interface
	Leases coordinationclient.CoordinationV1Interface
}

// NewClient makes a client of a configuration, without client-go's own limit of
// requests: there are few.
func NewClient(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	if config.QPS == 0 {
		config.QPS = -1
	}
	core, err := coreclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", config.Host, err)
	}
	leases, err := coordinationclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", config.Host, err)
	}
	return &Client{Core: core, Leases: leases}, nil
}

// Config is how the cluster is reached: as the kubeconfig and the context say,
// or, when neither is named and this is a Pod, as the Pod's ServiceAccount. The
// namespace is the Pod's or the context's, or "" when they name none.
func Config(kubeconfig, context string) (*rest.Config, string, error) {
	if kubeconfig == "" && context == "" && os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" {
		config, err := rest.InClusterConfig()
		if err == nil {
			return config, os.Getenv("POD_NAMESPACE"), nil
		}
		if !errors.Is(err, rest.ErrNotInCluster) {
			return nil, "", fmt.Errorf("using the Pod's own ServiceAccount: %w", err)
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("finding the cluster: %w; name a kubeconfig with --kubeconfig or KUBECONFIG", err)
	}
	// Not loader.Namespace: it says "default" when nobody has chosen one.
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, "", fmt.Errorf("finding the cluster: %w", err)
	}
	if context == "" {
		context = raw.CurrentContext
	}
	if c, ok := raw.Contexts[context]; ok {
		return config, c.Namespace, nil
	}
	return config, "", nil
}

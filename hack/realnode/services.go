package realnode

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/daemon"
)

// The identities of what makes Services and names work. RBAC knows the proxy's.
const (
	proxyUser = "system:kube-proxy"
	dnsUser   = "system:coredns"
)

func serviceUsers() []cptest.User { return []cptest.User{{Name: proxyUser}, {Name: dnsUser}} }

// proxy is kube-proxy, for all nodes: they share a network namespace.
func (c *Cluster) proxy() *daemon.Process {
	return &daemon.Process{
		Name: "kube-proxy", Path: c.tools["kube-proxy"], Log: filepath.Join(c.dir, "kube-proxy.log"),
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		Args: append([]string{
			"--kubeconfig=" + c.UserKubeconfig(proxyUser), "--hostname-override=" + c.Nodes[0].Name,
			"--proxy-mode=iptables", "--cluster-cidr=" + subnet, "--oom-score-adj=0",
			"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
			"--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249",
		}, bridgeFilter()...),
	}
}

// dns is CoreDNS on the bridge's address.
func (c *Cluster) dns(ctx context.Context) (*daemon.Process, error) {
	file := filepath.Join(c.dir, "Corefile")
	text := fmt.Sprintf(".:53 {\n\tbind %s\n\terrors\n\tkubernetes cluster.local {\n\t\tkubeconfig %s test\n\t}\n}\n", address, c.UserKubeconfig(dnsUser))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("configuring DNS: %w", err)
	}
	if err := c.letDNSRead(ctx); err != nil {
		return nil, err
	}
	return &daemon.Process{
		Name: "coredns", Path: c.tools["coredns"], Args: []string{"-conf", file},
		Env: []string{"PATH=/usr/bin:/bin"}, Log: filepath.Join(c.dir, "coredns.log"),
	}, nil
}

func (c *Cluster) letDNSRead(ctx context.Context) error {
	role := &rbac.ClusterRole{ObjectMeta: meta.ObjectMeta{Name: dnsUser}, Rules: []rbac.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"endpoints", "services", "pods", "namespaces"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"}},
	}}
	binding := &rbac.ClusterRoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: dnsUser},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: dnsUser},
		Subjects:   []rbac.Subject{{Kind: rbac.UserKind, Name: dnsUser}},
	}
	if _, err := c.Client.RbacV1().ClusterRoles().Create(ctx, role, meta.CreateOptions{}); err != nil {
		return fmt.Errorf("letting DNS read: %w", err)
	}
	if _, err := c.Client.RbacV1().ClusterRoleBindings().Create(ctx, binding, meta.CreateOptions{}); err != nil {
		return fmt.Errorf("letting DNS read: %w", err)
	}
	return nil
}

// Resolver asks the cluster's DNS, for the test itself.
func (c *Cluster) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(address, "53"))
	}}
}

func (c *Cluster) dnsAnswers(ctx context.Context) error {
	_, err := c.Resolver().LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
	return err
}

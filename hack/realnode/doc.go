// Package realnode starts a Kubernetes cluster with real nodes for a test: the control
// plane of hack/cptest, and on it kubelets with containerd, runc and CNI, kube-proxy
// for Services and CoreDNS for names. Pods really run, are killed, drained and pull
// their images, from a registry of the test's own over plain HTTP.
//
//	func TestMain(m *testing.M) { os.Exit(realnode.Main(m)) }
//
//	func TestX(t *testing.T) {
//		c := realnode.Start(t, realnode.Options{Nodes: 2})
//		…
//	}
//
// Main gives the whole test binary namespaces of its own (package isolate): the test
// itself, with all that it starts, is on the nodes' network, and everything is gone
// when it ends. What Pods are to reach listens on Cluster.Address.
//
// It needs root, Debian's runc, containernetworking-plugins, iptables and iproute2
// (hack/setup.sh), hack/controlplane/build.sh and hack/realnode/build.sh. Where that is
// missing a test is skipped, and says what; with CI set, or CAMFLEET_CONTROLPLANE=require,
// it fails for what could be installed or built.
package realnode

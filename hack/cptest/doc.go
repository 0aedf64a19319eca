// Package cptest starts a real Kubernetes control plane for a test: etcd,
// kube-apiserver (Node and RBAC authorization, Pod Security and NodeRestriction
// admission), kube-controller-manager, kube-scheduler, and kwok, which keeps
// nodes that do not exist Ready and their Pods Running. `make controlplane`
// builds the programs (hack/controlplane); KUBEBUILDER_ASSETS names a folder with
// others. What is started listens on 127.0.0.1, keeps its state in the test's
// temporary folder, and dies with the test, whatever kills that.
//
//	c := cptest.Start(t, cptest.Options{Nodes: 3})     // one for this test
//	out, err := c.Kubectl(ctx, "get", "nodes").Output()
//	cfg := &rest.Config{Host: c.Host, BearerToken: c.AdminToken, TLSClientConfig: rest.TLSClientConfig{CAData: c.CA}}
//
// A control plane takes seconds to start and half a gigabyte: tests of one package that
// can live in namespaces of their own share one, see Shared.
package cptest

package cptest

import (
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// Component is a program of the control plane.
type Component string

// The components, which Stop, Run and Options.Flags take.
const (
	Etcd              Component = "etcd"
	APIServer         Component = "kube-apiserver"
	ControllerManager Component = "kube-controller-manager"
	Scheduler         Component = "kube-scheduler"
	Kwok              Component = "kwok"

	kubectl Component = "kubectl"
	stages  Component = "kwok-stages"
)

// nodeLease is how long the lease of a fake node lasts; kwok renews it four times
// as often. Without one the node controller takes the node for dead after 50 s, and
// its Pods are not Ready any more, for good. A kwok that is started anew is another
// holder, and has to wait until the leases of the one before have run out.
const nodeLease = 12 * time.Second

// order is how the components are started; they are stopped in reverse.
var order = []Component{Etcd, APIServer, ControllerManager, Scheduler, Kwok}

// users are the identities of the token file, with what RBAC knows them as. Only
// admin and kwok may do everything: the controllers have the roles that the
// apiserver itself makes for them.
var users = map[Component]string{
	kubectl:           "admin,admin,system:masters",
	Kwok:              "kwok,kwok,system:masters",
	ControllerManager: "system:kube-controller-manager,controller-manager",
	Scheduler:         "system:kube-scheduler,scheduler",
}

// flags returns what each component is started with.
func (c *Cluster) flags() map[Component][]string {
	return map[Component][]string{
		Etcd:      c.etcdFlags(),
		APIServer: c.apiserverFlags(),
		ControllerManager: {
			"--kubeconfig=" + c.kubeconfig(ControllerManager),
			"--secure-port=0", "--leader-elect=false", "--profiling=false",
			"--use-service-account-credentials",
			"--kube-api-qps=500", "--kube-api-burst=1000", // of the default 20, 6 s of each start would be spent waiting
			"--service-account-private-key-file=" + c.file(accountKeyFile),
			"--root-ca-file=" + c.file(caFile),
			"--cluster-signing-cert-file=" + c.file(caFile), "--cluster-signing-key-file=" + c.file(caKeyFile),
			"--service-cluster-ip-range=" + ServiceRange,
		},
		Scheduler: {"--kubeconfig=" + c.kubeconfig(Scheduler), "--secure-port=0", "--leader-elect=false", "--profiling=false", "--kube-api-qps=500", "--kube-api-burst=1000"},
		Kwok: {
			"--kubeconfig=" + c.kubeconfig(Kwok), "--config=" + c.file(stageFile),
			"--manage-nodes-with-annotation-selector=" + fakeAnnotation + "=" + fakeValue,
			"--node-lease-duration-seconds=" + strconv.Itoa(int(nodeLease.Seconds())),
		},
	}
}

func (c *Cluster) etcdFlags() []string {
	client := "http://127.0.0.1:" + strconv.Itoa(c.etcdPort)
	peer := "http://127.0.0.1:" + strconv.Itoa(c.peerPort)
	return []string{
		"--name=test", "--data-dir=" + c.file("etcd"), "--log-level=warn",
		"--unsafe-no-fsync", // only a crash of the machine would lose what was written
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=test=" + peer,
	}
}

func (c *Cluster) apiserverFlags() []string {
	flags := []string{
		"--etcd-servers=http://127.0.0.1:" + strconv.Itoa(c.etcdPort),
		"--bind-address=" + c.address, "--secure-port=" + strconv.Itoa(c.port),
		"--advertise-address=" + c.address, "--endpoint-reconciler-type=none", // refuses 127.0.0.1
		"--tls-cert-file=" + c.file(servingFile), "--tls-private-key-file=" + c.file(servingKeyFile),
		"--client-ca-file=" + c.file(caFile), "--cert-dir=" + c.file("certs"),
		"--token-auth-file=" + c.file(tokenFile),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction,PodSecurity",
		"--allow-privileged", // so that it is Pod Security that says no
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.file(accountKeyFile), "--service-account-signing-key-file=" + c.file(accountKeyFile),
		"--service-cluster-ip-range=" + ServiceRange,
		"--profiling=false",
	}
	if c.AuditLog != "" {
		flags = append(flags, "--audit-policy-file="+c.file(auditPolicyFile), "--audit-log-path="+c.AuditLog, "--audit-log-mode=blocking")
	}
	return flags
}

// file is the path of something in the cluster's folder.
func (c *Cluster) file(name string) string { return filepath.Join(c.Dir, name) }

// kubeconfig is the path of a component's kubeconfig.
func (c *Cluster) kubeconfig(name Component) string {
	return c.file(fmt.Sprintf("%s.kubeconfig", name))
}

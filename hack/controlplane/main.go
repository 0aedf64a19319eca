// Command controlplane is all of Kubernetes in one program: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, kwok and kubectl, and for nodes kubelet
// and kube-proxy, each the project's own code, unchanged. The name it is called by,
// or else its first argument, picks the component. Tests start it; see hack/cptest
// and hack/realnode.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	_ "time/tzdata" // CronJobs have time zones

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // kubelet's and kube-proxy's log formats
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // the components' metrics
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// components are all that this program can be.
var components = map[string]func(){
	"etcd":                    func() { etcdmain.Main(os.Args) },
	"kube-apiserver":          func() { os.Exit(cli.Run(apiserver.NewAPIServerCommand())) },
	"kube-controller-manager": func() { os.Exit(cli.Run(controllers.NewControllerManagerCommand())) },
	"kube-scheduler":          func() { os.Exit(cli.Run(scheduler.NewSchedulerCommand())) },
	"kwok":                    func() { os.Exit(kwok()) },
	"kwok-stages":             func() { fmt.Println(stages()) },
	"kubelet":                 func() { os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background()))) },
	"kube-proxy":              func() { os.Exit(cli.Run(proxy.NewProxyCommand())) },
	"kubectl":                 func() { kubectlutil.CheckErr(cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand())) },
}

func main() {
	args, ok := pick(os.Args)
	if !ok {
		fmt.Fprintf(os.Stderr, "usage: controlplane COMPONENT [FLAG…], or a link to it named as the component: %s\n", strings.Join(names(), ", "))
		os.Exit(2)
	}
	os.Args = args // what every component reads its flags from
	components[args[0]]()
}

// pick returns the arguments as the component expects them, its own name first.
func pick(args []string) ([]string, bool) {
	for i := range min(len(args), 2) {
		name := filepath.Base(args[i])
		if _, ok := components[name]; ok {
			return append([]string{name}, args[i+1:]...), true
		}
	}
	return nil, false
}

func names() []string {
	var all []string
	for name := range components {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

package realnode

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"camfleet.dev/hack/cptest"
)

// The network of nodes and Pods is one bridge in the test's namespace. Nodes have
// addresses of the bridge itself; their Pods are in ranges of their own.
//
//	10.200.0.1        apiserver, DNS, registry, what a test serves
//	10.200.0.11 …     nodes
//	10.200.1.2 …      Pods of the first node
const (
	bridge  = "camfleet0"
	subnet  = "10.200.0.0/16"
	address = "10.200.0.1"
)

func nodeAddress(i int) string { return fmt.Sprintf("10.200.0.%d", 11+i) }

// errKernel is a kernel that lacks something that nobody can install.
var errKernel = errors.New("no real node: the kernel cannot do it")

// addBridge makes the bridge with the addresses of the machine and of n nodes.
func addBridge(ctx context.Context, n int) error {
	steps := [][]string{
		{"link", "add", bridge, "type", "bridge"},
		{"link", "set", bridge, "up"},
		{"addr", "add", address + "/16", "dev", bridge},
		{"route", "add", cptest.ServiceRange, "dev", bridge, "src", address}, // no packet leaves so: kube-proxy rewrites them
	}
	for i := range n {
		steps = append(steps, []string{"addr", "add", nodeAddress(i) + "/16", "dev", bridge})
	}
	for _, args := range steps {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			if strings.Contains(string(out), "not supported") || strings.Contains(string(out), "Unknown device type") {
				err = fmt.Errorf("%w: %w", errKernel, err)
			}
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return isLocal(ctx, address)
}

// isLocal makes sure that what is sent to an address stays on this machine.
func isLocal(ctx context.Context, address string) error {
	out, err := exec.CommandContext(ctx, "ip", "route", "get", address).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "local ") {
		return fmt.Errorf("%s is no address of this machine: %s (%v)", address, out, err)
	}
	return nil
}

// writeCNI writes the network of one node's Pods into a folder.
func writeCNI(dir string, node int) error {
	base := netip.MustParseAddr(address).As4()
	base[2] = byte(node + 1)
	first, last := base, base
	first[3], last[3] = 2, 254
	text := fmt.Sprintf(`{
  "cniVersion": "1.0.0", "name": "pods-%d",
  "plugins": [{
    "type": "bridge", "bridge": %q, "isGateway": true, "hairpinMode": true,
    "ipam": {
      "type": "host-local", "dataDir": %q,
      "ranges": [[{"subnet": %q, "rangeStart": %q, "rangeEnd": %q, "gateway": %q}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}`, node, bridge, filepath.Join(dir, "leases"), subnet, netip.AddrFrom4(first), netip.AddrFrom4(last), address)
	if err := os.WriteFile(filepath.Join(dir, "10-pods.conflist"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing the network of node %d: %w", node, err)
	}
	return nil
}

// bridgeFilter lets traffic between Pods of one bridge pass iptables, which the way
// back from a Service needs. Where it cannot, kube-proxy hides the sender instead.
func bridgeFilter() []string {
	if err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0o600); err != nil {
		return []string{"--masquerade-all"}
	}
	return nil
}

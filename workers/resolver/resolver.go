// Package resolver tells nginx where names are looked up. nginx reads no
// resolv.conf and knows no search list; a page's init container writes both
// down for it, in the Pod that it runs in.
package resolver

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrNoServer: a resolv.conf without a usable nameserver.
var ErrNoServer = errors.New("no nameserver with an IP address in resolv.conf")

// valid is how long nginx keeps an answer: a camera's Pod that is replaced has
// a new address, and is found again after this time.
const valid = "5s"

// Nginx turns the content of a resolv.conf (resolv.conf(5)) into an include
// for nginx's http block: the directive resolver, and the variable
// $camfleet_domain, which is the cluster's domain with a dot before it
// (".cluster.local"), or empty where the search list has none ("svc." begins it).
func Nginx(resolvConf []byte) ([]byte, error) {
	servers, domain := parse(resolvConf)
	if len(servers) == 0 {
		return nil, ErrNoServer
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "resolver %s valid=%s;\n", strings.Join(servers, " "), valid)
	fmt.Fprintf(&out, "map $host $camfleet_domain {\n\tdefault %q;\n}\n", domain)
	return out.Bytes(), nil
}

// parse reads name servers, as nginx writes them, and the cluster's domain.
// Lines that it does not understand are passed over, as the C library does.
func parse(resolvConf []byte) (servers []string, domain string) {
	lines := bufio.NewScanner(bytes.NewReader(resolvConf))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) < 2:
		case fields[0] == "nameserver":
			if s, ok := server(fields[1]); ok {
				servers = append(servers, s)
			}
		case fields[0] == "search": // the last such line counts
			domain = clusterDomain(fields[1:])
		}
	}
	return servers, domain
}

// server writes an address for nginx; a zone (fe80::1%eth0) it cannot take.
func server(s string) (string, bool) {
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil || addr.Zone() != "":
		return "", false
	case addr.Is6() && !addr.Is4In6():
		return "[" + addr.String() + "]", true
	}
	return addr.Unmap().String(), true
}

// clusterDomain is what follows svc. in the search list that the kubelet
// writes: <namespace>.svc.<domain> svc.<domain> <domain>.
func clusterDomain(search []string) string {
	for _, s := range search {
		if rest, ok := strings.CutPrefix(strings.TrimSuffix(s, "."), "svc."); ok && isDomain(rest) {
			return "." + rest
		}
	}
	return ""
}

// isDomain keeps everything but a plain name out of nginx's configuration.
func isDomain(s string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
	return s != "" && len(s) <= 253 && strings.Trim(s, allowed) == ""
}

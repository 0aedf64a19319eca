package compiler

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"camfleet.dev/compiler/internal/diagnose"
	"camfleet.dev/compiler/object"
)

// claim is a use of something that only one may have. The second to claim it, in
// the order of sites and names, is told who was first; the first stays right.
type claim struct {
	who     string // "camera gate/north"
	cluster string
	private bool // an address that another network may have as well
	pos     object.Position
}

type claims map[string][]claim

// take returns the earlier claim that c collides with. Private addresses collide
// only inside a cluster: two shops may both have 192.168.1.20.
func (m claims) take(key string, c claim) *claim {
	for i, o := range m[key] {
		if !c.private || o.cluster == c.cluster {
			return &m[key][i]
		}
	}
	m[key] = append(m[key], c)
	return nil
}

// checkUnique finds cameras with the same URL, edges and servers with the same
// address or the same Node, and pages with the same host.
func (c *compilation) checkUnique() {
	urls, addresses, nodes := claims{}, claims{}, claims{}
	for _, name := range diagnose.Known(c.fleet.servers.good) {
		s := c.fleet.servers.good[name]
		report := func(label string) func(format string, args ...any) {
			path := diagnose.Path("servers", name, label)
			return func(format string, args ...any) {
				c.fleetProblem(c.fleet.servers.index.Pos(path), path, format, args...)
			}
		}
		pos := c.fleet.servers.index.Pos(diagnose.Path("servers", name))
		who := claim{who: "server " + name, cluster: s.Cluster, pos: pos}
		checkAddress(addresses, s.Address, who, report("address"))
		checkNode(nodes, s.Node, name, who, report("node"))
	}
	for _, s := range c.sites {
		c.uniqueEdges(s, addresses, nodes)
		c.uniqueURLs(s, urls)
	}
	c.uniqueHosts()
}

func (c *compilation) uniqueEdges(s *site, addresses, nodes claims) {
	for _, name := range diagnose.Known(s.spec.Edges) {
		e := s.spec.Edges[name]
		report := func(label string) func(format string, args ...any) {
			return func(format string, args ...any) { s.at(diagnose.Path("site", "edges", name, label), format, args...) }
		}
		who := claim{who: "edge " + s.name + "/" + name, cluster: s.spec.Cluster, pos: s.index.Pos(diagnose.Path("site", "edges", name))}
		checkAddress(addresses, e.Address, who, report("address"))
		checkNode(nodes, e.Node, name, who, report("node"))
	}
}

func checkAddress(m claims, address string, who claim, report func(string, ...any)) {
	if address == "" {
		return
	}
	key := strings.ToLower(address)
	if a, err := netip.ParseAddr(address); err == nil {
		key = a.Unmap().String()
	}
	who.private = privateHost(key)
	if first := m.take(key, who); first != nil {
		report("%s has the same address %s (%s); give each its own", first.who, address, first.pos)
	}
}

func checkNode(m claims, node, name string, who claim, report func(string, ...any)) {
	if node == "" {
		node = name
	}
	who.private = true // names count within a cluster
	if first := m.take(node, who); first != nil {
		report("%s is the same Kubernetes Node %q (%s); rename one, or set its node", first.who, node, first.pos)
	}
}

func (c *compilation) uniqueURLs(s *site, urls claims) {
	for _, name := range diagnose.Known(s.spec.Cameras) {
		cam := s.spec.Cameras[name]
		path := diagnose.Path("site", "cameras", name, "url")
		key, private := streamOf(cam.URL)
		who := claim{who: "camera " + s.name + "/" + name, cluster: s.spec.Cluster, private: private, pos: s.index.Pos(path)}
		if first := urls.take(key, who); first != nil {
			s.at(path, "%s has the same URL (%s); a stream is one camera: remove one, or use another stream of the device", first.who, first.pos)
		}
	}
}

// streamOf is a URL in the one form that two ways of writing it share.
func streamOf(raw string) (key string, private bool) {
	u, err := url.Parse(raw)
	if err != nil {
		return raw, false
	}
	u.Host = strings.ToLower(u.Host)
	if u.Port() == "" {
		port := "554"
		if u.Scheme == "rtsps" {
			port = "322"
		}
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String(), privateHost(u.Hostname())
}

// privateHost reports whether a host means another machine in another network:
// RFC 1918 and RFC 4193 addresses, link-local, loopback, names without a public
// domain.
func privateHost(host string) bool {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return !strings.Contains(host, ".") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".lan") ||
			strings.HasSuffix(host, ".internal") || strings.HasSuffix(host, ".home.arpa")
	}
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()
}

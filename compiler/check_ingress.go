package compiler

import (
	"encoding/json"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	"camfleet.dev/compiler/object"
)

// checkIngresses finds an overlay that takes the host of another site's page:
// whoever has it is told the passwords of that page's viewers. It runs when all
// sites are rendered, alone, in the order of their names.
func (c *compilation) checkIngresses() {
	hosts := claims{}
	for _, s := range c.sites {
		if s.spec.Page != nil && s.spec.Page.Host != "" {
			hosts.take(s.spec.Page.Host, claim{who: s.name, cluster: s.spec.Cluster, private: true, pos: s.index.Pos("site.page.host")})
		}
	}
	for _, s := range c.sites {
		if s.broken {
			continue
		}
		for _, o := range s.objects {
			for _, host := range ingressHosts(o) {
				first := hosts.take(host, claim{who: s.name, cluster: s.spec.Cluster, private: true, pos: o.Source})
				if first != nil && first.who != s.name {
					s.problem(o.Source, "", "%s: the host %q is site %s's (%s); give it another one", o.ID, host, first.who, first.pos)
				}
			}
		}
	}
}

func ingressHosts(o object.Object) (hosts []string) {
	if o.Kind != "Ingress" {
		return nil
	}
	var ingress networkingv1.Ingress
	if json.Unmarshal(o.Body, &ingress) != nil {
		return nil // the overlay was refused for it
	}
	for _, r := range ingress.Spec.Rules {
		hosts = append(hosts, r.Host)
	}
	for _, t := range ingress.Spec.TLS {
		hosts = append(hosts, t.Hosts...)
	}
	return slices.DeleteFunc(hosts, func(h string) bool { return h == "" }) // what nobody else has
}

package compiler

import (
	"encoding/json"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"camfleet.dev/compiler/object"
)

// pageHost is a host that a site has said is its page's.
type pageHost struct {
	site *site
	host string
	pos  object.Position
}

// uniqueHosts refuses both of two sites that want the same host for their
// pages: which one is shown would depend on the cluster, and whoever is shown
// is told the passwords of the other's viewers. Were the first in the order of
// names right, everybody's host could be had with a name that begins with "a".
func (c *compilation) uniqueHosts() {
	const path = "site.page.host"
	hosts := map[[2]string]pageHost{}
	for _, p := range c.pageHosts() {
		key := [2]string{p.site.spec.Cluster, p.host}
		first, taken := hosts[key]
		if !taken {
			hosts[key] = p
			continue
		}
		p.site.at(path, "site %s has the same host %q (%s); give each page its own", first.site.name, p.host, first.pos)
		first.site.at(path, "site %s has the same host %q (%s); give each page its own", p.site.name, p.host, p.pos)
	}
}

func (c *compilation) pageHosts() (all []pageHost) {
	for _, s := range c.sites {
		if s.spec.Page != nil && s.spec.Page.Host != "" {
			all = append(all, pageHost{s, s.spec.Page.Host, s.index.Pos("site.page.host")})
		}
	}
	return all
}

// checkIngresses finds an overlay that takes the host of another site's page:
// whoever has it is told the passwords of that page's viewers. It runs when all
// sites are rendered, alone, in the order of their names.
func (c *compilation) checkIngresses() {
	pages, brought := c.pageHosts(), map[[2]string]pageHost{}
	called := map[string][]pageHost{}
	for _, p := range pages {
		called[p.host] = append(called[p.host], p)
	}
	for _, s := range c.sites {
		if s.broken {
			continue
		}
		for _, o := range s.objects {
			rules, named := hostsOf(o)
			for _, host := range rules {
				takePage(pages, s, o, host)
				if s.spec.Page == nil || s.spec.Page.Host != host {
					takeBrought(brought, s, o, host)
				}
			}
			for _, host := range named {
				takePage(called[strings.ToLower(host)], s, o, host)
			}
		}
	}
}

// takePage says that an object takes the host of another site's page.
func takePage(pages []pageHost, s *site, o object.Object, host string) {
	for _, p := range pages {
		if p.site == s || p.site.spec.Cluster != s.spec.Cluster || !covers(host, p.host) {
			continue
		}
		if host == "" {
			s.problem(o.Source, "", "%s: a rule without a host takes requests for other sites' pages, too, such as %q (%s); write a host", o.ID, p.host, p.pos)
		} else {
			s.problem(o.Source, "", "%s: the host %q is site %s's (%s); give it another one", o.ID, host, p.site.name, p.pos)
		}
		return
	}
}

// takeBrought says so of two that overlays have brought, to both.
func takeBrought(brought map[[2]string]pageHost, s *site, o object.Object, host string) {
	key := [2]string{s.spec.Cluster, host}
	first, taken := brought[key]
	switch {
	case host == "": // what nobody else has
	case !taken:
		brought[key] = pageHost{s, host, o.Source}
	case first.site != s:
		s.problem(o.Source, "", "%s: the host %q is site %s's (%s); give it another one", o.ID, host, first.site.name, first.pos)
		first.site.problem(first.pos, "", "the host %q is site %s's (%s); give it another one", host, s.name, o.Source)
	}
}

// covers tells whether requests for a page may go where a rule's host says.
func covers(rule, page string) bool {
	suffix, wild := strings.CutPrefix(rule, "*.")
	return rule == "" || strings.EqualFold(rule, page) || wild && strings.HasSuffix(page, "."+strings.ToLower(suffix))
}

// hostsOf are the hosts of an Ingress's rules ("" for a rule that has none); and
// those that certificates and annotations name, in which external-dns and
// Ingress controllers read who is who.
func hostsOf(o object.Object) (rules, named []string) {
	if o.Kind != "Ingress" && o.Kind != "Service" {
		return nil, nil
	}
	var body struct {
		Metadata metav1.ObjectMeta
		Spec     json.RawMessage
	}
	var ingress networkingv1.IngressSpec
	if json.Unmarshal(o.Body, &body) != nil || o.Kind == "Ingress" && json.Unmarshal(body.Spec, &ingress) != nil {
		return nil, nil // the overlay was refused for it
	}
	for _, r := range ingress.Rules {
		rules = append(rules, r.Host)
	}
	for _, t := range ingress.TLS {
		named = append(named, t.Hosts...)
	}
	for _, value := range body.Metadata.Annotations {
		named = append(named, strings.FieldsFunc(value, notHost)...)
	}
	slices.Sort(named)
	return rules, slices.Compact(named)
}

// notHost separates the names in an annotation.
func notHost(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.')
}

package compiler_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"camfleet.dev/compiler"
)

// hostileOverlays are what a site's overlay might try: to reach other
// namespaces, the nodes, the Kubernetes API, the network, or other files. Names
// and contents in turn, the first is kustomization.yaml.
func hostileOverlays() map[string]struct {
	files []string
	want  string
} {
	brings := func(object string) []string { return []string{"resources: [x.yaml]\n", "x.yaml", object} }
	patch := func(kind, operation string) []string {
		return []string{"patches:\n- target: {kind: " + kind + "}\n  patch: '[" + operation + "]'\n"}
	}
	return map[string]struct {
		files []string
		want  string
	}{
		"a reserved namespace":       {[]string{"namespace: kube-system\n"}, `kustomization.yaml:1:12: "kube-system" is not the site's namespace`},
		"the reconciler's namespace": {brings("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: camfleet-system}\n"), `x.yaml:3:32: "camfleet-system" is not the site's namespace`},
		"another site's namespace":   {brings("apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: camfleet-good}\n"), `"camfleet-good" is not the site's namespace`},
		"a namespace of its own":     {brings("apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-system}\n"), "x.yaml:2:7: camfleet does not manage objects of kind Namespace"},
		"moved by a patch":           {patch("Service", `{"op": "replace", "path": "/metadata/namespace", "value": "kube-system"}`), "is gone or renamed"},
		"rights":                     {brings("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: x}\n"), "objects of kind ClusterRoleBinding"},
		"a service account":          {brings("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: x}\n"), "objects of kind ServiceAccount"},
		"a definition":               {brings("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x.y.z}\n"), "objects of kind CustomResourceDefinition"},
		"a Secret":                   {brings("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData: {password: " + planted + "}\n"), "a Secret's content is never in Git"},
		"a token":                    {patch("Pod", `{"op": "replace", "path": "/spec/automountServiceAccountToken", "value": true}`), "a token for the Kubernetes API"},
		"the host's disk":            {patch("Pod", `{"op": "add", "path": "/spec/volumes/-", "value": {"name": "x", "hostPath": {"path": "/"}}}`), "hostPath"},
		"privileged":                 {patch("Deployment", `{"op": "add", "path": "/spec/template/spec/containers/0/securityContext/privileged", "value": true}`), "privileged"},
		"a weaker namespace":         {patch("Namespace", `{"op": "replace", "path": "/metadata/labels/pod-security.kubernetes.io~1enforce", "value": "privileged"}`), `must stay "restricted"`},
		"a long name":                {brings("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + strings.Repeat("x", 254) + "}\n"), "metadata.name: must be no more than 253"},
		"a name that climbs":         {brings("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ../../x}\n"), "metadata.name: "},
		"another site's host":        {brings("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x}\nspec: {rules: [{host: good.example.org}]}\n"), `the host "good.example.org" is site good's (sites/good/site.cue:`},
		"another site's certificate": {brings("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x}\nspec: {tls: [{hosts: [good.example.org]}], defaultBackend: {service: {name: page, port: {number: 80}}}}\n"), "is site good's"},

		"all sites' hosts":       {brings("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x}\nspec: {rules: [{http: {paths: [{path: /archive/good/, pathType: Prefix, backend: {service: {name: page, port: {number: 80}}}}]}}]}\n"), `a rule without a host takes requests for other sites' pages, too, such as "good.example.org"`},
		"everybody's hosts":      {brings("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x}\nspec: {rules: [{host: '*.example.org'}]}\n"), `the host "*.example.org" is site good's`},
		"another site's alias":   {brings("apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x, annotations: {nginx.ingress.kubernetes.io/server-alias: 'a.b, good.example.org'}}\nspec: {rules: [{host: evil.example.org}]}\n"), `the host "good.example.org" is site good's`},
		"another site's address": {brings("apiVersion: v1\nkind: Service\nmetadata: {name: x, annotations: {external-dns.alpha.kubernetes.io/hostname: 'Good.example.org'}}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n"), `is site good's`},
		"its page's address":     {patch("Service", `{"op": "add", "path": "/metadata/annotations/external-dns.alpha.kubernetes.io~1hostname", "value": "good.example.org"}`), `is site good's`},

		"a remote base":      {[]string{"resources: ['https://evil.example.org/base?ref=v1']\n"}, "is remote"},
		"a remote by git":    {[]string{"resources: ['git@evil.example.org:a/b.git']\n"}, "is remote"},
		"a remote patch":     {[]string{"patches:\n- path: https://evil.example.org/p.yaml\n"}, "is remote"},
		"another site":       {[]string{"resources: [../good]\n"}, "leads out of sites/evil"},
		"the host's file":    {[]string{"resources: [/etc/passwd]\n"}, "is not a path inside sites/evil"},
		"climbing":           {[]string{"configMapGenerator:\n- {name: x, files: [../../../../etc/passwd]}\n"}, "leads out of sites/evil"},
		"a chart":            {[]string{"helmCharts:\n- {name: x, repo: 'https://evil.example.org'}\n"}, "helmCharts is not allowed"},
		"a generator":        {[]string{"generators: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: Exec\n"}, "generators is not allowed"},
		"a transformer":      {[]string{"transformers: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: Exec\n"}, "transformers is not allowed"},
		"a hidden inner one": {[]string{"resources: [a]\n", "a/kustomization.yaml", "namespace: kube-system\nresources: ['https://evil.example.org/x']\n"}, "sites/evil/a/kustomization.yaml:1:12"},
		"an alias bomb":      {[]string{"x: &a [1]\nlabels: [*a, *a]\n"}, "anchors and aliases"},
	}
}

// TestHostileOverlays: the site is named, with its place, and the others compile.
func TestHostileOverlays(t *testing.T) {
	t.Parallel()
	good := strings.Replace(rightSite("good", 1), "cluster:", "page: host: \"good.example.org\"\n\tcluster:", 1)
	for name, c := range hostileOverlays() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"sites/evil/site.cue": rightSite("evil", 1), "sites/good/site.cue": good, "sites/evil/kustomization.yaml": c.files[0]}
			for i := 1; i < len(c.files); i += 2 {
				files["sites/evil/"+c.files[i]] = c.files[i+1]
			}
			r := compile(t, fleetFS(files), compiler.Options{})
			said := false
			for _, p := range r.Problems {
				said = said || strings.Contains(p.Error(), c.want)
				if p.Site != "evil" || !strings.HasPrefix(p.File, "sites/evil/") || len(p.Error()) > 1000 || strings.Contains(p.Message, planted) {
					t.Errorf("problem: %.2000s", p.Error())
				}
			}
			if !said {
				t.Errorf("want words with %q: %v", c.want, r.Problems)
			}
			onlyGood(t, r)
			for _, o := range r.Objects {
				if o.Site != "good" || o.Namespace != "camfleet-good" && o.Name != "camfleet-good" {
					t.Errorf("%s of site %s is compiled", o.ID, o.Site)
				}
			}
		})
	}
}

// TestHostOfAnother: another cluster may have the same host, and a site may
// have its own twice.
func TestHostOfAnother(t *testing.T) {
	t.Parallel()
	host := func(site string) string {
		return strings.Replace(site, "cluster:", "page: host: \"x.example.org\"\n\tcluster:", 1)
	}
	ingress := "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x}\nspec: {rules: [{host: x.example.org}]}\n"
	files := map[string]string{
		"sites/own/site.cue":   host(rightSite("own", 1)),
		"sites/other/site.cue": strings.Replace(rightSite("other", 1), `"home"`, `"shop"`, 1),
	}
	for _, site := range []string{"own", "other"} {
		files["sites/"+site+"/kustomization.yaml"], files["sites/"+site+"/x.yaml"] = "resources: [x.yaml]\n", ingress
	}
	if r := compile(t, fleetFS(files), compiler.Options{}); len(r.Problems) > 0 {
		t.Errorf("problems: %v", r.Problems)
	}
}

// TestHostTwice: of two sites that want the same host neither gets it, whatever
// they are called; the one that has it keeps what is live.
func TestHostTwice(t *testing.T) {
	t.Parallel()
	page := func(site string) string {
		return strings.Replace(rightSite(site, 1), "cluster:", "page: host: \"x.example.org\"\n\tcluster:", 1)
	}
	const rule = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x}\nspec: {rules: [{host: x.example.org}]}\n"
	plain := map[string]string{"sites/aaa/site.cue": rightSite("aaa", 1), "sites/old/site.cue": rightSite("old", 1), "sites/good/site.cue": rightSite("good", 1)}
	for name, c := range map[string]struct {
		files  map[string]string
		broken string
	}{
		"in CUE":           {map[string]string{"sites/aaa/site.cue": page("aaa"), "sites/old/site.cue": page("old")}, "aaa old"},
		"in overlays":      {map[string]string{"sites/aaa/kustomization.yaml": "resources: [x.yaml]\n", "sites/aaa/x.yaml": rule, "sites/old/kustomization.yaml": "resources: [x.yaml]\n", "sites/old/x.yaml": rule}, "aaa old"},
		"in CUE, overlaid": {map[string]string{"sites/old/site.cue": page("old"), "sites/aaa/kustomization.yaml": "resources: [x.yaml]\n", "sites/aaa/x.yaml": rule}, "aaa"},
		"a wildcard alone": {map[string]string{"sites/aaa/kustomization.yaml": "resources: [x.yaml]\n", "sites/aaa/x.yaml": strings.ReplaceAll(rule, "x.example.org", "'*.example.org'")}, ""},
	} {
		files := maps.Clone(plain)
		maps.Copy(files, c.files)
		r := compile(t, fleetFS(files), compiler.Options{})
		var broken []string
		for _, s := range r.Sites {
			if s.Broken {
				broken = append(broken, s.Name)
			}
		}
		if strings.Join(broken, " ") != c.broken || (c.broken == "") != (len(r.Problems) == 0) {
			t.Errorf("%s: %v are broken, want %s: %v", name, broken, c.broken, r.Problems)
		}
	}
}

// TestReservedSites: a site does not get the reconciler's namespace, wherever that runs.
func TestReservedSites(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		reserved []string
		want     string
	}{
		"system":      {nil, "sites/system: the name \"system\" is camfleet's own (namespace camfleet-system)"},
		"kube-system": {nil, "sites/kube-system: names that begin with \"kube-\" are Kubernetes' own"},
		"gitops":      {[]string{"camfleet-gitops"}, "sites/gitops: the name \"gitops\" is camfleet's own (namespace camfleet-gitops)"},
		"home":        {[]string{"camfleet-gitops"}, ""},
		"systems":     {nil, ""},
	} {
		r := compile(t, fleetFS(map[string]string{"sites/" + name + "/site.cue": rightSite(name, 1), "sites/good/site.cue": rightSite("good", 1)}), compiler.Options{Reserved: c.reserved})
		var said []string
		for _, p := range r.Problems {
			said = append(said, p.Error())
		}
		if text := strings.Join(said, "\n"); (text == "") != (c.want == "") || !strings.Contains(text, c.want) {
			t.Errorf("%s: got %q, want %q", name, text, c.want)
		}
		for _, o := range r.Objects {
			if c.want != "" && o.Site != "good" {
				t.Errorf("%s: %s is compiled", name, o.ID)
			}
		}
	}
}

// TestLinkedOverlay: what a link leads to is no part of an overlay.
func TestLinkedOverlay(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	files := baseFiles()
	files["sites/good/site.cue"], files["sites/evil/site.cue"] = rightSite("good", 1), rightSite("evil", 1)
	files["sites/evil/kustomization.yaml"] = "resources: [x.yaml, far]\n"
	secret := filepath.Join(outside, "kustomization.yaml")
	full := map[string]string{secret: "commonAnnotations: {a: " + planted + "}\n"}
	for name, data := range files {
		full[filepath.Join(dir, name)] = data
	}
	for name, data := range full {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"x.yaml": secret, "far": outside} {
		if err := os.Symlink(to, filepath.Join(dir, "sites/evil", link)); err != nil {
			t.Skipf("this file system has no symbolic links: %v", err)
		}
	}
	r := compile(t, os.DirFS(dir), compiler.Options{})
	onlyGood(t, r)
	if strings.Contains(string(marshal(t, r)), planted) || !strings.Contains(r.Problems[0].Error(), "is a symbolic link") {
		t.Errorf("problems: %v", r.Problems)
	}
}

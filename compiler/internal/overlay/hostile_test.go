package overlay

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"
)

// inline is a kustomization with one patch of all Pods.
func inline(patch string) string {
	return "patches:\n- target: {kind: Pod}\n  patch: |\n    " + strings.ReplaceAll(patch, "\n", "\n    ") + "\n"
}

func merge(kind, fields string) string {
	return "apiVersion: v1\nkind: " + kind + "\nmetadata: {name: x" + fields
}

// refusal is files of the site's folder (names and contents in turn; the first
// is kustomization.yaml), and what is said about them.
type refusal struct {
	files []string
	want  string
}

// refusals are of what a kustomization may not say.
var refusals = map[string]refusal{
	"not YAML":        {[]string{"a: [\n"}, "kustomization.yaml:1: is not YAML: did not find"},
	"empty":           {[]string{""}, "kustomization.yaml: must be one YAML document"},
	"two documents":   {[]string{"labels: []\n---\nlabels: []\n"}, "kustomization.yaml: must be one YAML document"},
	"not a map":       {[]string{"- a\n"}, "kustomization.yaml: invalid Kustomization"},
	"unknown field":   {[]string{"labels: []\npatchez: []\n"}, `kustomization.yaml:2:1: unknown field "patchez"; did you mean "patches"?`},
	"unknown, inside": {[]string{"labels:\n- pair: {a: b}\n"}, `kustomization.yaml:2:3: unknown field "pair"`},
	"another version": {[]string{"apiVersion: v2\nlabels:\n- pairs: {a: b}\n"}, "apiVersion for Kustomization should be"},

	"name prefix":       {[]string{"namePrefix: x-\n"}, "kustomization.yaml:1:13: namePrefix is not allowed: names are camfleet's own"},
	"in other letters":  {[]string{"labels: []\nNAMEPREFIX: x-\n"}, "kustomization.yaml:2:13: namePrefix is not allowed"},
	"namespace":         {[]string{"namespace: kube-system\n"}, `kustomization.yaml:1:12: "kube-system" is not the site's namespace; leave it out, or write "camfleet-gate"`},
	"common labels":     {[]string{"commonLabels: {a: b}\n"}, "commonLabels is not allowed: use labels"},
	"selectors":         {[]string{"labels:\n- pairs: {a: b}\n  includeSelectors: true\n"}, "kustomization.yaml:2:3: selectors are camfleet's own"},
	"label fields":      {[]string{"labels:\n- pairs: {a: b}\n  fields: [{path: spec/selector}]\n"}, "selectors are camfleet's own"},
	"bases":             {[]string{"bases: [../yard]\n"}, "bases is not allowed: use resources"},
	"secret generator":  {[]string{"secretGenerator:\n- name: a\n  literals: [password=hunter2]\n"}, "secretGenerator is not allowed: a Secret's content is never in Git"},
	"charts":            {[]string{"helmCharts:\n- name: x\n"}, "helmCharts is not allowed: an overlay may have"},
	"transformers":      {[]string{"transformers: [x.yaml]\n"}, "transformers is not allowed"},
	"inline generators": {[]string{"generators:\n- |\n  apiVersion: v1\n  kind: Exec\n"}, "generators is not allowed"},
	"validators":        {[]string{"validators: [x.yaml]\n"}, "validators is not allowed"},
	"openapi":           {[]string{"openapi: {path: /etc/passwd}\n"}, "openapi is not allowed"},
	"crds":              {[]string{"crds: [x.yaml]\n"}, "crds is not allowed"},
	"configurations":    {[]string{"configurations: [x.yaml]\n"}, "configurations is not allowed"},
	"replacements":      {[]string{"replacements:\n- path: x.yaml\n"}, "replacements is not allowed: write the value into a patch"},
	"build metadata":    {[]string{"buildMetadata: [originAnnotations]\n"}, "buildMetadata is not allowed"},
	"env":               {[]string{"configMapGenerator:\n- {name: a, env: x}\n"}, "kustomization.yaml:2:18: use envs"},

	"http":               {[]string{"resources:\n- https://example.org/x.yaml\n"}, `kustomization.yaml:2:3: "https://example.org/x.yaml" is remote; copy the file into sites/gate`},
	"git over ssh":       {[]string{"resources: ['git@github.com:a/b.git']\n"}, "is remote"},
	"git::":              {[]string{"resources: ['git::example.org/a/b']\n"}, "is remote"},
	"with a ref":         {[]string{"resources: ['github.com/a/b?ref=x']\n"}, "is remote"},
	"remote without one": {[]string{"resources: [github.com/a/b]\n"}, `"github.com/a/b" does not exist in sites/gate (files from elsewhere are not fetched)`},
	"remote component":   {[]string{"components: ['https://example.org/a']\n"}, "is remote"},
	"remote patch":       {[]string{"patches:\n- path: https://example.org/p.yaml\n"}, "kustomization.yaml:2:9: \"https://example.org/p.yaml\" is remote"},
	"patch, other case":  {[]string{"patches:\n- PATH: https://example.org/p.yaml\n"}, "kustomization.yaml:2:9: \"https://example.org/p.yaml\" is remote"},
	"remote data":        {[]string{"configMapGenerator:\n- name: a\n  files: ['k=https://example.org/x']\n"}, "kustomization.yaml:3:11: \"https://example.org/x\" is remote"},
	"remote from inside": {[]string{"resources: [a]\n", "a/kustomization.yaml", "resources: ['https://example.org/x']\n"}, "sites/gate/a/kustomization.yaml:1:13: \"https://example.org/x\" is remote"},
	"absolute":           {[]string{"resources: [/etc/passwd]\n"}, `"/etc/passwd" is not a path inside sites/gate`},
	"backslashes":        {[]string{`resources: ['..\yard\x.yaml']` + "\n"}, "is not a path inside sites/gate"},
	"out of the site":    {[]string{"resources: [../yard/x.yaml]\n"}, `"../yard/x.yaml" leads out of sites/gate`},
	"out, deviously":     {[]string{"resources: [a/../../yard]\n"}, "leads out of sites/gate"},
	"itself":             {[]string{"resources: [.]\n"}, "leads out of sites/gate"},
	"missing":            {[]string{"resources: [x.yaml]\n"}, `"x.yaml" does not exist in sites/gate`},
	"missing patch":      {[]string{"patches:\n- path: x.yaml\n"}, `kustomization.yaml:2:9: "x.yaml" does not exist`},
	"a folder as patch":  {[]string{"patches:\n- path: a\n", "a/b", ""}, `"a" is a folder; a patch is a file`},
	"a folder as data":   {[]string{"configMapGenerator:\n- name: x\n  files: [a]\n", "a/b", ""}, `"a" is a folder; name its files`},
	"a file as part":     {[]string{"components: [a]\n", "a", ""}, `"a" is not a folder with a kustomization.yaml`},
	"folder without one": {[]string{"resources: [a]\n", "a/b", ""}, "kustomization.yaml:1:13: a/kustomization.yaml cannot be read"},
	"a circle":           {[]string{"resources: [a]\n", "a/kustomization.yaml", "resources: [../b]\n", "b/kustomization.yaml", "resources: [../a]\n"}, "refer to each other in a circle"},
	"too deep": {[]string{
		"resources: [a]\n", "a/kustomization.yaml", "resources: [b]\n", "a/b/kustomization.yaml", "resources: [c]\n", "a/b/c/kustomization.yaml",
		"resources: [d]\n", "a/b/c/d/kustomization.yaml", "resources: [e]\n", "a/b/c/d/e/kustomization.yaml", "labels: []\n",
	}, "more than 5 deep"},

	"alias":             {[]string{"x: &a [1]\nlabels: [*a, *a]\n"}, "kustomization.yaml:1:4: YAML anchors and aliases (& and *) are not allowed"},
	"alias bomb, patch": {[]string{inline("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]")}, "kustomization.yaml:4: YAML anchors and aliases"},
	"alias in a file":   {[]string{"resources: [x.yaml]\n", "x.yaml", "\na: &a 1\nb: *a\n"}, "sites/gate/x.yaml:2:4: YAML anchors"},
	"alias in a patch":  {[]string{"patches:\n- path: x.yaml\n", "x.yaml", "a: &a 1\nb: *a\n"}, "sites/gate/x.yaml:1:4: YAML anchors"},
	"merge key":         {[]string{"labels:\n- <<: {pairs: {a: b}}\n"}, "YAML anchors and aliases"},
	"copy bomb":         {[]string{inline(strings.Repeat("- {op: copy, from: /spec, path: /spec/x}\n", 40))}, "kustomization.yaml:4: the operation copy is not allowed"},
	"copy in JSON":      {[]string{inline(`[{"op": "\u0063opy", "from": "/spec", "path": "/spec/x"}]`)}, "the operation copy is not allowed"},
	"a large file":      {[]string{"resources: [x.yaml]\n", "x.yaml", strings.Repeat("#", maxFile+1)}, "x.yaml is larger than 256 KiB"},
	"large together": {[]string{
		"configMapGenerator:\n- {name: x, files: [a, b=a, c=a, d=a, e=a]}\n", "a", strings.Repeat("x", maxFile),
	}, "larger than 1024 KiB together"},
	"many files":   {[]string{"configMapGenerator:\n- {name: x, files: [" + strings.Repeat("a, ", 101) + "a]}\n", "a", ""}, "more than 100 files"},
	"many patches": {[]string{"patches:\n" + strings.Repeat("- {path: a}\n", 201), "a", ""}, "more than 200 patches"},
	"deep YAML":    {[]string{strings.Repeat("[", 20_000)}, "is not YAML: "},

	"delete a camera":  {[]string{inline("$patch: delete\n" + merge("Pod", "}"))}, "camfleet-gate/Pod/camera-cam-000 is gone or renamed"},
	"drop by mark":     {[]string{inline(merge("Pod", ", annotations: {config.kubernetes.io/local-config: 'true'}}"))}, "camera-cam-000 is gone or renamed"},
	"rename":           {[]string{inline(merge("Pod", "}")) + "  options: {allowNameChange: true}\n"}, "camera-cam-000 is gone or renamed"},
	"rename by patch":  {[]string{inline("- {op: replace, path: /metadata/name, value: y}")}, "camera-cam-000 is gone or renamed"},
	"move":             {[]string{inline("- {op: replace, path: /metadata/namespace, value: default}")}, "camera-cam-000 is gone or renamed"},
	"change the fleet": {[]string{inline(merge("Pod", ", labels: {camfleet.dev/fleet: other}}"))}, `camfleet.dev/fleet is camfleet's own, and must stay "fleet-0001"`},
	"change the hash":  {[]string{inline(merge("Pod", ", annotations: {camfleet.dev/hash: x}}"))}, "camfleet.dev/hash is camfleet's own"},
	"all labels":       {[]string{"labels:\n- pairs: {camfleet.dev/camera: x}\n"}, "camfleet.dev/camera is camfleet's own"},
	"no metadata":      {[]string{inline("- {op: remove, path: /metadata/labels}\n- {op: remove, path: /metadata/annotations}")}, "app.kubernetes.io/managed-by is camfleet's own"},
	"its data": {[]string{"patches:\n- target: {kind: ConfigMap, name: camera-cam-000}\n  patch: |\n    " +
		"- {op: add, path: /data, value: {camera.json: '{}'}}\n"}, "data is made from CUE, and cannot be changed here"},
	"merged data":        {[]string{"configMapGenerator:\n- {name: camera-cam-000, namespace: camfleet-gate, behavior: merge, literals: [a=b]}\n"}, "data is made from CUE"},
	"as root":            {[]string{inline("- {op: replace, path: /spec/securityContext/runAsUser, value: 0}")}, "as the overlay leaves it: the site's namespace does not admit it (Pod Security restricted): runAsUser=0"},
	"privileged":         {[]string{inline("- {op: add, path: /spec/containers/0/securityContext/privileged, value: true}")}, "privileged"},
	"host's disk":        {[]string{inline("- {op: add, path: /spec/volumes/-, value: {name: x, hostPath: {path: /}}}")}, "hostPath"},
	"a wrong field":      {[]string{inline("- {op: add, path: /spec/nodeSelektor, value: {}}")}, `unknown field "spec.nodeSelektor"`},
	"copy in base64":     {[]string{inline("- {op: !!binary Y29weQ==, from: /spec/containers, path: /spec/initContainers}")}, `kustomization.yaml:4: the YAML tag "!!binary" is not allowed here`},
	"a key in base64":    {[]string{inline("- {!!binary b3A=: !!binary Y29weQ==, from: /spec/containers, path: /spec/initContainers}")}, `the YAML tag "!!binary" is not allowed here`},
	"a kind in base64":   {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: v1\nkind: !!binary U2VjcmV0\nmetadata: {name: x}\n"}, `x.yaml:2:7: the YAML tag "!!binary" is not allowed here`},
	"a tag of one's own": {[]string{"labels:\n- pairs: !x {a: b}\n"}, `kustomization.yaml:2:10: the YAML tag "!x" is not allowed here`},
	"a snippet":          {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x, annotations: {nginx.ingress.kubernetes.io/server-snippet: 'location /x {}'}}\nspec: {rules: [{host: x.example.org}]}\n"}, "annotation nginx.ingress.kubernetes.io/server-snippet"},
	"snippets":           {[]string{"resources: [x.yaml]\n", "x.yaml", "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: x, annotations: {nginx.org/location-snippets: 'x'}}\nspec: {rules: [{host: x.example.org}]}\n"}, "annotation nginx.org/location-snippets"},
	"other letters":      {[]string{inline("- {op: remove, path: /spec/automountServiceAccountToken}\n- {op: add, path: /spec/AutomountServiceAccountToken, value: false}")}, `unknown field "spec.AutomountServiceAccountToken"`},
	"a wrong type":       {[]string{inline("- {op: replace, path: /spec/hostname, value: [1]}")}, "cannot unmarshal"},
	"a wrong patch":      {[]string{inline("- {op: replace, path: /spec/none/of/it, value: 1}")}, "kustomize cannot apply it: "},
	"no target":          {[]string{"patches:\n- path: x.yaml\n", "x.yaml", merge("Pod", "}")}, "kustomize cannot apply it: no resource matches strategic merge patch"},
	"patch of text":      {[]string{"patches:\n- path: x.yaml\n", "x.yaml", "hello"}, "kustomize cannot apply it: unable to parse SM or JSON patch from [path: \"x.yaml\"]"},
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	objs := gate(t, 1)
	for name, c := range all() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, problems := Apply(t.Context(), folder(slices.Concat([]string{File}, c.files)...), "gate", objs)
			if len(out) > 0 || len(problems) == 0 {
				t.Fatalf("taken: %d objects", len(out))
			}
			var all []string
			for _, p := range problems {
				all = append(all, p.Error())
				if p.Site != "gate" || !strings.HasPrefix(p.File, "sites/gate/") {
					t.Errorf("%v is of site %q", p, p.Site)
				}
				if strings.Contains(p.Message, "hunter2") || strings.Contains(p.Message, "\n") || len(p.Message) > 600 {
					t.Errorf("the message says too much: %s", p.Message)
				}
			}
			if text := strings.Join(all, "\n"); !strings.Contains(text, c.want) {
				t.Errorf("got\n%s\nwant\n%s", text, c.want)
			}
		})
	}
}

func TestOtherFileNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"kustomization.yml", "Kustomization"} {
		_, problems := Apply(t.Context(), folder(name, "labels: []\n"), "gate", gate(t, 1))
		if len(problems) != 1 || problems[0].Error() != "sites/gate/"+name+": is not read; call it kustomization.yaml" {
			t.Errorf("got %v", problems)
		}
	}
}

func TestIrregularFile(t *testing.T) {
	t.Parallel()
	site := fstest.MapFS{
		File:   {Data: []byte("resources: [pipe]\n")},
		"pipe": {Mode: os.ModeNamedPipe},
	}
	_, problems := Apply(t.Context(), site, "gate", gate(t, 1))
	if len(problems) != 1 || !strings.Contains(problems[0].Message, `"pipe" is neither a file nor a folder`) {
		t.Errorf("got %v", problems)
	}
}

// TestNothingIsFetched: no address is asked and no git is run, whatever a name
// looks like. A folder that is really there is used, even when it is called as a remote one.
func TestNothingIsFetched(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(server.Close)
	bin := t.TempDir()
	marker := filepath.Join(bin, "git-was-run")
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte("#!/bin/sh\ntouch "+marker+"\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	objs := gate(t, 1)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, name := range []string{server.URL + "/x.yaml", server.URL + "/a/b.git", "git::" + server.URL + "/a", host + "/a/b", "file:///tmp", "ssh://" + host + "/a/b"} {
		for _, kust := range []string{"resources: [%q]\n", "components: [%q]\n", "patches: [{path: %q}]\n", "configMapGenerator: [{name: a, files: [%q]}]\n", "configMapGenerator: [{name: a, envs: [%q]}]\n"} {
			if _, problems := Apply(t.Context(), folder(File, fmt.Sprintf(kust, name)), "gate", objs); len(problems) == 0 {
				t.Errorf("%s of %s was taken", kust, name)
			}
		}
	}
	for _, name := range []string{"github.com/a/b", "example.org/a/_git/b", "a.git/b", "gitlab.com/a/b.git"} {
		after := applied(t, objs, File, "resources: ["+name+"]\n", name+"/kustomization.yaml", "resources: [x.yaml]\n",
			name+"/x.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: local}\n")
		get(t, after, "ConfigMap", "local")
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("git was run")
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("the network was asked %d times", n)
	}
}

// FuzzApply: whatever a kustomization holds, it is taken or refused, with a
// place, and camfleet's objects keep their names.
func FuzzApply(f *testing.F) {
	for _, c := range all() {
		if len(c.files[0]) < 4096 {
			f.Add(c.files[0], "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
		}
	}
	objs := gate(f, 1)
	f.Fuzz(func(t *testing.T, kust, other string) {
		watchdog := time.AfterFunc(20*time.Second, func() { panic(fmt.Sprintf("still at it after 20 s: %q, %q", kust, other)) })
		defer watchdog.Stop()
		out, problems := Apply(t.Context(), folder(File, kust, "x.yaml", other, "a/kustomization.yaml", other), "gate", objs)
		for _, p := range problems {
			if p.File == "" || p.Message == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
		if len(problems) > 0 {
			return
		}
		for _, o := range objs {
			if o.Kind == "Pod" || o.Kind == "PersistentVolumeClaim" {
				get(t, out, o.Kind, o.Name)
			}
		}
	})
}

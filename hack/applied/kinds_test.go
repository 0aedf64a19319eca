package applied_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"camfleet.dev/compiler"
	"camfleet.dev/reconciler/cluster"
)

// TestOverlaysBringWhatIsApplied: a site's overlay may bring just the kinds that
// the reconciler applies in a cluster, or it would be refused too late.
func TestOverlaysBringWhatIsApplied(t *testing.T) {
	t.Parallel()
	said := func(apiVersion, kind string) string {
		t.Helper()
		fleet := small("kinds")
		fleet["sites/kinds/kustomization.yaml"] = &fstest.MapFile{Data: []byte("resources: [x.yaml]\n")}
		fleet["sites/kinds/x.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata: {name: x}\n")}
		r, err := compiler.Compile(t.Context(), fleet, compiler.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, p := range r.Problems {
			words = append(words, p.Error())
		}
		return strings.Join(words, "\n")
	}
	var want []string
	for _, k := range cluster.Kinds() {
		if k.Kind == "Namespace" {
			continue // a site has the one that it has
		}
		want = append(want, k.Kind)
		if words := said(k.APIVersion, k.Kind); strings.Contains(words, "does not manage") || strings.Contains(words, "a site may have") {
			t.Errorf("%s %s is applied, and refused here: %s", k.APIVersion, k.Kind, words)
		}
	}
	slices.Sort(want)
	if words := said("example.org/v1", "Thing"); !strings.Contains(words, "may bring "+strings.Join(want, ", ")+")") {
		t.Errorf("the reconciler applies %v, and an overlay is told: %s", want, words)
	}
}

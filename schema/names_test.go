package schema_test

import (
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"k8s.io/apimachinery/pkg/util/validation"
)

// TestNamesAreKubernetes: what CUE takes for a name, Kubernetes takes too; what
// it refuses would else be refused only in the cluster.
func TestNamesAreKubernetes(t *testing.T) {
	t.Parallel()
	v := build(t)
	label, long := strings.Repeat("a", 63), strings.Repeat("a.", 126)+"a" // 63 and 253
	names := []string{
		"", "a", "a-b", "-a", "a-", "A", "a.b", "a..b", ".a", "a.", "a-.b", "a.-b", "a_b", "a/b", "..", "../a", "a b", "ä", "a\n", "1", "1.2", "10.0.0.5", "::1",
		label, label + "a", label + "." + label, long, "a." + long, "gate.example.org", "Gate.example.org", "*.example.org", "https://a", "a:80", "xn--bcher-kva.example", "gate.5",
	}
	taken := map[string]int{}
	for def, valid := range map[string]func(string) []string{
		"#Name": validation.IsDNS1123Label, "#NodeName": validation.IsDNS1123Subdomain, "#DomainName": validation.IsDNS1123Subdomain,
	} {
		d := v.LookupPath(cue.ParsePath(def))
		for _, name := range names {
			if d.Unify(cuecontext.New().Encode(name)).Validate(cue.Concrete(true)) != nil {
				continue
			}
			taken[def]++
			if errs := valid(name); len(errs) > 0 {
				t.Errorf("%s takes %q, and Kubernetes does not: %v", def, name, errs)
			}
			if def == "#DomainName" && strings.Trim(name, "0123456789.:") == "" {
				t.Errorf("%s takes the address %q", def, name)
			}
		}
	}
	if taken["#Name"] < 4 || taken["#NodeName"] < 10 || taken["#DomainName"] < 6 {
		t.Errorf("taken: %v", taken)
	}
}

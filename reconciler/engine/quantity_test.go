package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestQuantities shows where another spelling is no drift, and where it is.
func TestQuantities(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ live, want, changed string }{
		"memory":       {`{"spec":{"resources":{"requests":{"storage":"1Gi"}}}}`, `{"spec":{"resources":{"requests":{"storage":"1024Mi"}}}}`, ""},
		"more":         {`{"spec":{"resources":{"requests":{"storage":"1Gi"}}}}`, `{"spec":{"resources":{"requests":{"storage":"1025Mi"}}}}`, "spec.resources.requests.storage"},
		"a number":     {`{"spec":{"a":{"limits":{"cpu":"500m"}}}}`, `{"spec":{"a":{"limits":{"cpu":0.5}}}}`, ""},
		"a long name":  {`{"spec":{"a":{"limits":{"x.com/gpu":"1"}}}}`, `{"spec":{"a":{"limits":{"x.com/gpu":1}}}}`, ""},
		"in a list":    {`{"spec":{"c":[{"name":"a.b","r":{"requests":{"cpu":"1"}}}]}}`, `{"spec":{"c":[{"name":"a.b","r":{"requests":{"cpu":"1000m"}}}]}}`, ""},
		"a folder":     {`{"spec":{"v":[{"emptyDir":{"sizeLimit":"1Gi"}}]}}`, `{"spec":{"v":[{"emptyDir":{"sizeLimit":"1024Mi"}}]}}`, ""},
		"no quantity":  {`{"spec":{"a":{"limits":{"cpu":"lots"}}}}`, `{"spec":{"a":{"limits":{"cpu":"some"}}}}`, "spec.a.limits.cpu"},
		"another type": {`{"spec":{"a":{"limits":{"cpu":"1"}}}}`, `{"spec":{"a":{"limits":{"cpu":true}}}}`, "spec.a.limits.cpu"},
		"a setting":    {`{"data":{"a":"{\"requests\":{\"x\":\"1000m\"}}"}}`, `{"data":{"a":"{\"requests\":{\"x\":\"1\"}}"}}`, "data.a.requests.x"},
		"elsewhere":    {`{"spec":{"schedule":"1"}}`, `{"spec":{"schedule":"1000m"}}`, "spec.schedule"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want []string
			if c.changed != "" {
				want = []string{c.changed}
			}
			if got := changedFields([]byte(c.live), []byte(c.want)); !slices.Equal(got, want) {
				t.Errorf("changed %q, want %q", got, want)
			}
		})
	}
}

// TestSpellings: an API server gives back what it was given in other words.
func TestSpellings(t *testing.T) {
	t.Parallel()
	pod := func(resource, amount string) string {
		return `{"spec":{"containers":[{"name":"c","resources":{"requests":{"` + resource + `":` + amount + `}}}]}}`
	}
	for _, same := range [][]string{
		{"cpu", `0.1`, `"100m"`, `"0.1"`, `"0.10"`, `1e-1`},
		{"cpu", `1`, `"1"`, `"1000m"`, `1.0`, `"1e0"`},
		{"memory", `"1Gi"`, `"1073741824"`, `1073741824`, `"1048576Ki"`, `"1024Mi"`},
		{"memory", `"1G"`, `"1000M"`, `1e9`, `1000000000`, `"1000000000000m"`},
		{"nvidia.com/gpu", `1`, `"1"`},
	} {
		for _, a := range same[1:] {
			for _, b := range same[1:] {
				if got := changedFields([]byte(pod(same[0], a)), []byte(pod(same[0], b))); got != nil {
					t.Errorf("%s: %s and %s: %q", same[0], a, b, got)
				}
			}
			if got := changedFields([]byte(pod(same[0], a)), []byte(pod(same[0], `"7"`))); len(got) != 1 {
				t.Errorf("%s: %s and 7: %q", same[0], a, got)
			}
		}
	}
	for _, path := range []string{"spec.hard.pods", "template.spec.containers[a].resources.limits.cpu", "spec.containers[a].env[b].valueFrom.resourceFieldRef.divisor"} {
		if !quantityField(path) {
			t.Error(path)
		}
	}
	for _, path := range []string{"data.requests.x", "metadata.labels[limits.x]", "spec", "spec.x", "spec.schedule", "spec.[a]"} {
		if quantityField(path) {
			t.Error(path)
		}
	}
}

// FuzzQuantities: numbers and their usual spellings are the same, others are not.
func FuzzQuantities(f *testing.F) {
	f.Add(int64(100), int64(250))
	f.Fuzz(func(t *testing.T, a, b int64) {
		if a < 0 || b < 0 || a > 1<<50 || b > 1<<50 {
			t.Skip()
		}
		body := func(v string) []byte { return []byte(`{"spec":{"x":{"requests":{"cpu":` + v + `}}}}`) }
		spell := func(n int64) []string {
			return []string{fmt.Sprintf(`"%dm"`, n), fmt.Sprintf(`"%d.%03d"`, n/1000, n%1000), fmt.Sprintf(`%d.%03d`, n/1000, n%1000)}
		}
		for _, x := range spell(a) {
			for _, y := range append(spell(a), spell(b)...) {
				same := slices.Contains(spell(a), y) || a == b
				if got := changedFields(body(x), body(y)); (got == nil) != same {
					t.Errorf("%s and %s: %q", x, y, got)
				}
			}
		}
	})
}

// TestHostileQuantities: a number that is written quickly is compared quickly.
func TestHostileQuantities(t *testing.T) {
	t.Parallel()
	for _, q := range []string{
		`"1e999999999"`, `"1E-999999999"`, `1e999999999`, `"1e+00000999999999"`, `"9999999999999999999999E"`,
		`"` + strings.Repeat("9", 1000) + `"`, `"0.` + strings.Repeat("0", 1000) + `1"`,
	} {
		body := func(v string) []byte { return []byte(`{"spec":{"a":{"limits":{"cpu":` + v + `}}}}`) }
		if got := changedFields(body(q), body(`"1"`)); len(got) != 1 {
			t.Errorf("%s: %q", q, got)
		}
		if got := changedFields(body(q), body(q)); got != nil {
			t.Errorf("%s twice: %q", q, got)
		}
	}
}

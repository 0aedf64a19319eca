package engine

import (
	"slices"
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

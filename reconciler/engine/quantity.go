package engine

import (
	"encoding/json"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"camfleet.dev/compiler/object"
)

// sameQuantity tells whether two values are one Kubernetes quantity in two
// spellings: 1024Mi and 1Gi, 0.5 and 500m. An API server keeps its own spelling
// of what an overlay has written.
func sameQuantity(path string, a, b any) bool {
	if !quantityField(path) {
		return false
	}
	x, okX := quantity(a)
	y, okY := quantity(b)
	return okX && okY && x.Cmp(y) == 0
}

// quantityField tells whether a field of a spec holds a quantity, by where it
// stands: resources.requests.cpu, resources.limits[nvidia.com/gpu], emptyDir.sizeLimit.
func quantityField(path string) bool {
	if !strings.HasPrefix(path, "spec.") && !strings.HasPrefix(path, "template.spec.") {
		return false // texts of a ConfigMap are no quantities
	}
	at := strings.LastIndexByte(path, '.')
	if strings.HasSuffix(path, "]") {
		at = strings.LastIndexByte(path, '[')
	}
	switch path[strings.LastIndexByte(path[:at], '.')+1 : at] {
	case "requests", "limits", "hard", "capacity":
		return true
	}
	return strings.HasSuffix(path, "emptyDir.sizeLimit") || strings.HasSuffix(path, "resourceFieldRef.divisor")
}

func quantity(v any) (resource.Quantity, bool) {
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case json.Number:
		text = v.String()
	default:
		return resource.Quantity{}, false
	}
	if !object.Modest(text) {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(text)
	return q, err == nil
}

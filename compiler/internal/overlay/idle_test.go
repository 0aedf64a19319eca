package overlay

import (
	"testing"
)

func TestIdle(t *testing.T) {
	t.Parallel()
	objs := gate(t, 1)
	const change = "\n  patch: '[{\"op\": \"add\", \"path\": \"/metadata/annotations/x\", \"value\": \"y\"}]'\n"
	for name, c := range map[string]struct {
		kustomization string
		idle          string // where it is said; "" where nothing is
	}{
		"by name":         {"patches:\n- target: {kind: Pod, name: camera-cam-000}" + change, ""},
		"by kind":         {"patches:\n- target: {kind: CronJob}" + change, ""},
		"by group":        {"patches:\n- target: {group: networking.k8s.io, version: v1}" + change, ""},
		"by pattern":      {"patches:\n- target: {name: camera-.*}" + change, ""},
		"by namespace":    {"patches:\n- target: {namespace: camfleet-gate}" + change, ""},
		"by label":        {"patches:\n- target: {labelSelector: 'a=b'}" + change, ""},
		"no such name":    {"patches:\n- target: {kind: Pod, name: camera-cam-00}" + change, "sites/gate/kustomization.yaml:2:11"},
		"no such kind":    {"patches:\n- target: {kind: pod}" + change, "sites/gate/kustomization.yaml:2:11"},
		"no such group":   {"patches:\n- target: {group: apps, kind: Pod}" + change, "sites/gate/kustomization.yaml:2:11"},
		"other namespace": {"patches:\n- target: {namespace: camfleet-yard}" + change, "sites/gate/kustomization.yaml:2:11"},
		"no patches":      {"labels: []\n", ""},
	} {
		files := folder(File, c.kustomization)
		out, problems := Apply(t.Context(), files, "gate", objs)
		if len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
		warnings := Idle(files, "gate", out)
		switch {
		case c.idle == "" && len(warnings) > 0, c.idle != "" && len(warnings) != 1:
			t.Errorf("%s: warnings %v", name, warnings)
		case c.idle != "" && (warnings[0].Position.String() != c.idle || warnings[0].Site != "gate"):
			t.Errorf("%s: %v, want it at %s", name, warnings, c.idle)
		}
	}
	if warnings := Idle(folder(), "gate", objs); warnings != nil {
		t.Errorf("without an overlay: %v", warnings)
	}
}

package render

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"camfleet.dev/schema"
)

// where says in a word where a Pod may run, and how long it is left on a node that is gone.
func where(spec corev1.PodSpec) string {
	place := "anywhere"
	switch a := spec.Affinity; {
	case a == nil:
	case a.NodeAffinity != nil:
		place = a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
	case a.PodAffinity != nil:
		place = "together"
	}
	for _, toleration := range spec.Tolerations {
		if toleration.TolerationSeconds == nil {
			return place + " for ever"
		}
	}
	return place
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	once := func(cameras map[string]string) Input { // camera → edge
		return with(func(in *Input) {
			in.Site.Storage.AccessMode = "ReadWriteOnce"
			in.Site.Cameras = map[string]schema.Camera{}
			for name, edge := range cameras {
				c := camera("rtsp://10.0.0.1/" + name)
				c.Edge = edge
				in.Site.Cameras[name] = c
			}
		})
	}
	for name, c := range map[string]struct {
		in      Input
		warning string
		want    map[string]string
	}{
		"many nodes": {in: gate(), want: map[string]string{
			"Pod/camera-north": "pi-1 for ever", "Pod/camera-east": "anywhere", "CronJob/days-north": "anywhere", "Deployment/page": "anywhere",
		}},
		"an edge is its own Node": {in: withCamera("east", func(c *schema.Camera) { c.Edge = "box" }), want: map[string]string{"Pod/camera-east": "box for ever"}},
		"one node, whichever": {
			in: once(map[string]string{"a": "", "b": ""}), warning: "ReadWriteOnce keeps all of the site's Pods on one node;",
			want: map[string]string{"Pod/camera-a": "together", "CronJob/days-b": "together", "Deployment/page": "together"},
		},
		"one node, an edge": {
			in: once(map[string]string{"a": "pi", "b": ""}), warning: "they follow camera a to Node pi-1",
			want: map[string]string{"Pod/camera-a": "pi-1 for ever", "Pod/camera-b": "pi-1 for ever", "CronJob/days-b": "pi-1 for ever", "Deployment/page": "pi-1 for ever"},
		},
		"one node, two edges": {
			in: once(map[string]string{"a": "pi", "b": "box", "c": ""}), warning: "cameras b and a are pinned to the Nodes box and pi-1",
			want: map[string]string{"Pod/camera-a": "pi-1 for ever", "Pod/camera-b": "box for ever", "Pod/camera-c": "together"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pods := templates(t, rendered(t, c.in))
			for id, want := range c.want {
				if got := where(pods["camfleet-gate/"+id].Spec); got != want {
					t.Errorf("%s runs %s, want %s", id, got, want)
				}
			}
			warnings := Site(c.in).Warnings
			if c.warning == "" && len(warnings) > 0 || c.warning != "" && (len(warnings) != 1 || !strings.Contains(warnings[0].Message, c.warning) || warnings[0].Path != "site.storage.accessMode") {
				t.Errorf("warnings are %v, want %q", warnings, c.warning)
			}
		})
	}
}

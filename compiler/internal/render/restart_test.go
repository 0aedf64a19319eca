package render

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// sized is a container with requests and limits; "" is none.
func sized(cpu, memory, maxCPU, maxMemory string) corev1.Container {
	list := func(cpu, memory string) corev1.ResourceList {
		out := corev1.ResourceList{}
		for name, amount := range map[corev1.ResourceName]string{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory} {
			if amount != "" {
				out[name] = resource.MustParse(amount)
			}
		}
		return out
	}
	return corev1.Container{Name: "c", Resources: corev1.ResourceRequirements{Requests: list(cpu, memory), Limits: list(maxCPU, maxMemory)}}
}

func TestClass(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		init, containers []corev1.Container
		want             corev1.PodQOSClass
	}{
		"nothing":               {nil, []corev1.Container{sized("", "", "", "")}, corev1.PodQOSBestEffort},
		"zero":                  {nil, []corev1.Container{sized("0", "0", "", "")}, corev1.PodQOSBestEffort},
		"all, equal":            {nil, []corev1.Container{sized("1", "1Gi", "1000m", "1024Mi")}, corev1.PodQOSGuaranteed},
		"limits only":           {nil, []corev1.Container{sized("", "", "1", "1Gi")}, corev1.PodQOSGuaranteed},
		"as ours":               {nil, []corev1.Container{sized("20m", "32Mi", "", "256Mi")}, corev1.PodQOSBurstable},
		"memory equal":          {nil, []corev1.Container{sized("20m", "256Mi", "", "256Mi")}, corev1.PodQOSBurstable},
		"memory only":           {nil, []corev1.Container{sized("", "1Gi", "", "1Gi")}, corev1.PodQOSBurstable},
		"one of two":            {nil, []corev1.Container{sized("1", "1Gi", "1", "1Gi"), sized("", "", "", "")}, corev1.PodQOSBurstable},
		"an init container too": {[]corev1.Container{sized("", "", "", "")}, []corev1.Container{sized("1", "1Gi", "1", "1Gi")}, corev1.PodQOSBurstable},
	} {
		if got := class(&corev1.PodSpec{InitContainers: c.init, Containers: c.containers}); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestRehash: only what can be done to a running Pod leaves its hash alone.
func TestRehash(t *testing.T) {
	t.Parallel()
	ours, guaranteed := sized("20m", "32Mi", "", "256Mi"), sized("1", "1Gi", "1", "1Gi")
	local := sized("20m", "32Mi", "", "256Mi")
	local.Resources.Limits[corev1.ResourceEphemeralStorage] = resource.MustParse("1Gi")
	more := sized("20m", "32Mi", "", "256Mi")
	more.Resources.Limits[corev1.ResourceEphemeralStorage] = resource.MustParse("2Gi")
	pod := func(c corev1.Container) corev1.PodSpec { return corev1.PodSpec{Containers: []corev1.Container{c}} }
	for name, c := range map[string]struct {
		before, after corev1.PodSpec
		same          bool
	}{
		"nothing":            {pod(ours), pod(ours), true},
		"spelt otherwise":    {pod(ours), pod(sized("0.02", "32Mi", "", "0.25Gi")), true},
		"requests":           {pod(ours), pod(sized("2", "64Mi", "", "256Mi")), true},
		"limits":             {pod(ours), pod(sized("20m", "32Mi", "", "512Mi")), true},
		"guaranteed, larger": {pod(guaranteed), pod(sized("2", "2Gi", "2", "2Gi")), true},
		"guaranteed, less":   {pod(guaranteed), pod(sized("500m", "1Gi", "1", "1Gi")), false},
		"to guaranteed":      {pod(sized("1", "512Mi", "1", "1Gi")), pod(guaranteed), false},
		"a limit more":       {pod(ours), pod(sized("20m", "32Mi", "1", "256Mi")), false},
		"a limit less":       {pod(ours), pod(sized("20m", "32Mi", "", "")), false},
		"a request less":     {pod(ours), pod(sized("", "32Mi", "", "256Mi")), false},
		"another resource":   {pod(local), pod(more), false},
		"an init container": {corev1.PodSpec{InitContainers: []corev1.Container{ours}, Containers: []corev1.Container{ours}},
			corev1.PodSpec{InitContainers: []corev1.Container{sized("30m", "32Mi", "", "256Mi")}, Containers: []corev1.Container{ours}}, false},
		"the whole Pod's": {pod(ours), corev1.PodSpec{Containers: []corev1.Container{ours}, Resources: &ours.Resources}, false},
		"an image":        {pod(ours), pod(corev1.Container{Name: "c", Image: "x", Resources: ours.Resources}), false},
	} {
		before, _ := json.Marshal(c.before)
		after, _ := json.Marshal(c.after)
		got, err := Rehash("hash", before, after)
		if err != nil || (got == "hash") != c.same {
			t.Errorf("%s: the hash stays: %v, want %v (%v)", name, got == "hash", c.same, err)
		}
		if again, _ := Rehash("hash", before, after); again != got {
			t.Errorf("%s: the same change gives another hash", name)
		}
	}
	if _, err := Rehash("hash", []byte(`{}`), []byte(`{"containers":"x"}`)); err == nil {
		t.Error("a spec that is none is hashed")
	}
}

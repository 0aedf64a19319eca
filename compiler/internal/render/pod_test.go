package render

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// templates are all Pods that come of a site's objects.
func templates(t *testing.T, objs []object.Object) map[string]corev1.PodTemplateSpec {
	t.Helper()
	out := map[string]corev1.PodTemplateSpec{}
	for _, o := range objs {
		switch o.Kind {
		case "Pod":
			pod := as[corev1.Pod](t, o)
			out[o.ID.String()] = corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
		case "CronJob":
			out[o.ID.String()] = as[batchv1.CronJob](t, o).Spec.JobTemplate.Spec.Template
		case "Deployment":
			out[o.ID.String()] = as[appsv1.Deployment](t, o).Spec.Template
		}
	}
	return out
}

// variants are sites that render every branch of a Pod.
func variants() map[string]Input {
	return map[string]Input{
		"as it is": gate(),
		"once":     with(func(in *Input) { in.Site.Storage.AccessMode = "ReadWriteOnce" }),
		"registry": with(func(in *Input) {
			in.ClusterSpec.Registry = &schema.Registry{Host: "10.0.0.5:5000", PullSecret: "pull"}
		}),
		"door":     with(func(in *Input) { in.Site.Page = &schema.Page{Auth: &schema.SecretRef{Secret: "viewers"}} }),
		"disabled": withCamera("north", func(c *schema.Camera) { c.Disabled = true }),
	}
}

// TestPodSecurity asks the code that the API server itself uses.
func TestPodSecurity(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for name, in := range variants() {
		for id, pod := range templates(t, rendered(t, in)) {
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec))
			if !result.Allowed {
				t.Errorf("%s: %s: %s", name, id, result.ForbiddenDetail())
			}
		}
	}
}

func TestEveryContainerIsLockedDown(t *testing.T) {
	t.Parallel()
	for name, in := range variants() {
		for id, pod := range templates(t, rendered(t, in)) {
			s := pod.Spec.SecurityContext
			if *s.RunAsUser != 65532 || *s.RunAsGroup != 65532 || *s.FSGroup != 65532 || *s.FSGroupChangePolicy != corev1.FSGroupChangeOnRootMismatch {
				t.Errorf("%s: %s runs as %+v", name, id, s)
			}
			if *pod.Spec.AutomountServiceAccountToken || *pod.Spec.EnableServiceLinks {
				t.Errorf("%s: %s is told what it need not know", name, id)
			}
			for _, v := range pod.Spec.Volumes {
				if v.HostPath != nil {
					t.Errorf("%s: %s mounts the host's %s", name, id, v.HostPath.Path)
				}
			}
			for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
				if !*c.SecurityContext.ReadOnlyRootFilesystem {
					t.Errorf("%s: %s: %s can write to its root", name, id, c.Name)
				}
				if c.Resources.Limits.Memory().Cmp(*c.Resources.Requests.Memory()) < 0 || c.Resources.Requests.Cpu().IsZero() || !c.Resources.Limits.Cpu().IsZero() {
					t.Errorf("%s: %s: %s has resources %v", name, id, c.Name, c.Resources)
				}
			}
		}
	}
}

// TestMountsHaveVolumes: a Pod whose mount has no volume is refused.
func TestMountsHaveVolumes(t *testing.T) {
	t.Parallel()
	for id, pod := range templates(t, rendered(t, gate())) {
		for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			for _, m := range c.VolumeMounts {
				if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
					t.Errorf("%s: %s mounts %s, which is no volume", id, c.Name, m.Name)
				}
			}
		}
	}
}

func TestCameraPod(t *testing.T) {
	t.Parallel()
	objs := rendered(t, gate())
	north := as[corev1.Pod](t, find(t, objs, "Pod", "camera-north"))
	if north.Spec.Hostname != "camera-north" || north.Spec.Subdomain != "cameras" || north.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		t.Errorf("north is %s.%s, restarts %s", north.Spec.Hostname, north.Spec.Subdomain, north.Spec.RestartPolicy)
	}
	c := north.Spec.Containers[0]
	if m := c.VolumeMounts[0]; m.Name != "archive" || m.MountPath != "/archive" || m.SubPath != "north" {
		t.Errorf("north sees more than its own archive: %v", c.VolumeMounts)
	}
	var ports []string
	for _, p := range c.Ports {
		ports = append(ports, p.Name)
	}
	if strings.Join(ports, " ") != "live metrics restream" {
		t.Errorf("ports are %v", ports)
	}
	secret := slices.IndexFunc(north.Spec.Volumes, func(v corev1.Volume) bool { return v.Secret != nil })
	if secret < 0 || north.Spec.Volumes[secret].Secret.SecretName != "cameras" || *north.Spec.Volumes[secret].Secret.DefaultMode != 0o440 {
		t.Errorf("volumes are %+v", north.Spec.Volumes)
	}
	var config schema.WorkerCamera
	data := as[corev1.ConfigMap](t, find(t, objs, "ConfigMap", "camera-north")).Data
	if err := json.Unmarshal([]byte(data[ConfigKey]), &config); err != nil {
		t.Fatal(err)
	}
	if config.Site != "gate" || config.Name != "north" || config.Credentials != "cameras" || config.URL != "rtsp://10.0.0.21:8554/stream1" ||
		config.TimeZone != "Europe/Berlin" || config.Recording != gate().Site.Cameras["north"].Recording {
		t.Errorf("its worker is told %+v", config)
	}
}

// TestHashIsOfWhatNeedsARestart: and of nothing else, or a change of retention
// would cost recording.
func TestHashIsOfWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	before := find(t, rendered(t, gate()), "Pod", "camera-east").Hash
	if len(before) != 32 {
		t.Errorf("hash is %q", before)
	}
	for name, c := range map[string]struct {
		change  func(*Input, *schema.Camera)
		restart bool
	}{
		"url":         {func(_ *Input, c *schema.Camera) { c.URL += "2" }, true},
		"credentials": {func(_ *Input, c *schema.Camera) { c.Credentials = &schema.SecretRef{Secret: "x"} }, true},
		"transport":   {func(_ *Input, c *schema.Camera) { c.Transport = "tcp" }, true},
		"edge":        {func(_ *Input, c *schema.Camera) { c.Edge = "box" }, true},
		"image":       {func(in *Input, _ *schema.Camera) { in.ClusterSpec.Images.Camfleet += ".1" }, true},
		"resources":   {func(_ *Input, c *schema.Camera) { c.Resources = &schema.Resources{CPU: "2", Memory: "2Gi"} }, false},
		"retention":   {func(_ *Input, c *schema.Camera) { c.Recording.Retention.Age = hour }, false},
		"live":        {func(_ *Input, c *schema.Camera) { c.Live.Latency = "low" }, false},
		"description": {func(_ *Input, c *schema.Camera) { c.Description = "x" }, false},
		"disabled":    {func(_ *Input, c *schema.Camera) { c.Disabled = true }, false},
		"bitrate":     {func(_ *Input, c *schema.Camera) { c.Bitrate = 1e6 }, false},
		"fleet":       {func(in *Input, _ *schema.Camera) { in.Fleet.UID = "other" }, false},
		"time zone":   {func(in *Input, _ *schema.Camera) { in.Site.TimeZone = "UTC" }, false},
		"its place": {func(in *Input, _ *schema.Camera) {
			in.Pos = func(string) object.Position { return object.Position{File: "x.cue"} }
		}, false},
		"another camera": {func(in *Input, _ *schema.Camera) { in.Site.Cameras["new"] = camera("rtsp://10.0.0.9/x") }, false},
	} {
		in := gate()
		east := in.Site.Cameras["east"]
		r := *east.Resources
		east.Resources = &r
		c.change(&in, &east)
		in.Site.Cameras["east"] = east
		if after := find(t, rendered(t, in), "Pod", "camera-east").Hash; (after != before) != c.restart {
			t.Errorf("%s: restart is %v, want %v", name, after != before, c.restart)
		}
	}
}

func TestPageRestartsOnlyForItsConfiguration(t *testing.T) {
	t.Parallel()
	hash := func(in Input) string {
		return as[appsv1.Deployment](t, find(t, rendered(t, in), "Deployment", "page")).Spec.Template.Annotations[object.AnnotationHash]
	}
	before := hash(gate())
	if before == "" || hash(with(func(in *Input) { in.Site.Cameras["new"] = camera("rtsp://10.0.0.9/x") })) != before {
		t.Error("a new camera restarts the page")
	}
	if hash(with(func(in *Input) { in.Name = "yard" })) == before {
		t.Error("another nginx.conf does not restart the page")
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	own := &schema.Registry{Host: "10.0.0.5:5000"}
	for image, want := range map[string]string{
		"camfleet:1":                        "10.0.0.5:5000/camfleet:1",
		"library/nginx":                     "10.0.0.5:5000/library/nginx",
		"docker.io/library/nginx:1.29":      "10.0.0.5:5000/library/nginx:1.29",
		"localhost/camfleet":                "10.0.0.5:5000/camfleet",
		"registry.example:444/a/b@sha256:0": "10.0.0.5:5000/a/b@sha256:0",
	} {
		r := renderer{Input: Input{ClusterSpec: schema.Cluster{Registry: own}}}
		if got := r.image(image); got != want {
			t.Errorf("%s is pulled as %s, want %s", image, got, want)
		}
		if got := (&renderer{}).image(image); got != image {
			t.Errorf("without a registry %s is pulled as %s", image, got)
		}
	}
	for id, pod := range templates(t, rendered(t, variants()["registry"])) {
		if !slices.Equal(pod.Spec.ImagePullSecrets, []corev1.LocalObjectReference{{Name: "pull"}}) {
			t.Errorf("%s pulls with %v", id, pod.Spec.ImagePullSecrets)
		}
	}
}

func TestSelectorsFindTheirPods(t *testing.T) {
	t.Parallel()
	objs := rendered(t, gate())
	count := func(selector map[string]string) (n int) {
		s := metav1.LabelSelector{MatchLabels: selector}
		for _, pod := range templates(t, objs) {
			match, err := metav1.LabelSelectorAsSelector(&s)
			if err != nil {
				t.Fatal(err)
			}
			if match.Matches(labels.Set(pod.Labels)) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		kind, name string
		pods       int
	}{{"Service", "cameras", 3}, {"Service", "page", 1}} {
		if got := count(as[corev1.Service](t, find(t, objs, c.kind, c.name)).Spec.Selector); got != c.pods {
			t.Errorf("%s %s finds %d Pods, want %d", c.kind, c.name, got, c.pods)
		}
	}
	if got := count(as[appsv1.Deployment](t, find(t, objs, "Deployment", "page")).Spec.Selector.MatchLabels); got != 1 {
		t.Errorf("the page's Deployment finds %d Pods", got)
	}
}

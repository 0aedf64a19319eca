package render

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// ConfigKey is the camera's configuration in its ConfigMap: a schema.WorkerCamera.
const ConfigKey = "camera.json"

// What a camera's worker asks for by default, and the most memory it may take:
// recording needs ~15 MB, LL-HLS of a bright 4K camera some more.
const (
	cameraCPU         = "20m"
	cameraMemory      = "32Mi"
	cameraMemoryLimit = "256Mi"
	// grace lets a worker finish its open segment: at most ten seconds of it.
	grace = 20
)

func (r *renderer) cameraObjects(name string, c schema.Camera) {
	from := origin{path: cameraPath(name), camera: name, role: object.RoleCamera}
	r.add(from, r.cameraConfig(name, c))
	r.add(from, r.cameraPolicy(name, c))
	if c.Recording.Enabled && c.Recording.Days.Enabled {
		days := from
		days.role = object.RoleDays
		r.add(days, r.days(name))
	}
	from.restart = []string{c.URL, c.Transport, secretName(c)}
	r.add(from, r.cameraPod(name, c))
}

func (r *renderer) cameraConfig(name string, c schema.Camera) *corev1.ConfigMap {
	// WorkerCamera holds nothing that cannot be encoded.
	config, _ := json.Marshal(schema.WorkerCamera{
		Site: r.Name, Name: name, TimeZone: r.Site.TimeZone, URL: c.URL, Credentials: secretName(c), Transport: c.Transport,
		Recording: c.Recording, Live: c.Live, Bitrate: c.Bitrate, Disabled: c.Disabled,
	})
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: r.meta("camera-" + name),
		Data:       map[string]string{ConfigKey: string(config)},
	}
}

func (r *renderer) cameraPod(name string, c schema.Camera) *corev1.Pod {
	volumes := []corev1.Volume{archiveVolume(false), configVolume("camera", "camera-"+name), liveVolume()}
	mounts := []corev1.VolumeMount{archiveMount(name), mount("camera", cameraDir), {Name: "live", MountPath: liveDir}}
	if secret := secretName(c); secret != "" {
		volumes = append(volumes, credentialsVolume(secret))
		mounts = append(mounts, mount("credentials", credentialsDir))
	}
	spec := r.podSpec(volumes...)
	spec.Hostname, spec.Subdomain = "camera-"+name, camerasName
	spec.RestartPolicy = corev1.RestartPolicyAlways
	spec.TerminationGracePeriodSeconds = ptr(int64(grace))
	spec.Containers = []corev1.Container{{
		Name:  "rtsp2hls",
		Image: r.image(r.ClusterSpec.Images.Camfleet),
		Command: []string{
			Worker, "rtsp2hls", "--config", cameraDir, "--archive", archiveDir, "--secrets", credentialsDir,
			"--listen", fmt.Sprintf(":%d", portLive), "--metrics", fmt.Sprintf(":%d", portMetrics), "--live-dir", liveDir, "--log-format", "json",
		},
		Ports: []corev1.ContainerPort{
			containerPort("live", portLive), containerPort("metrics", portMetrics), containerPort("restream", portRestream),
		},
		VolumeMounts:    mounts,
		Resources:       r.cameraResources(name, c.Resources),
		SecurityContext: locked(),
		// Ready means that video is being recorded. Alive means only that the
		// process answers: restarting it does not mend a camera. A first segment takes
		// longer than the first probe; the next comes soon, because whoever replaces
		// cameras in turns waits for it. Not ready is after half a minute only.
		ReadinessProbe: probe("/readyz", "live", 3, 10),
		LivenessProbe:  probe("/livez", "live", 30, 4),
	}}
	r.schedule(&spec, c.Edge)
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: r.meta("camera-" + name),
		Spec:       spec,
	}
}

// archiveMount shows a worker its own camera's folder, and no other.
func archiveMount(camera string) corev1.VolumeMount {
	return corev1.VolumeMount{Name: "archive", MountPath: archiveDir, SubPath: camera}
}

func (r *renderer) cameraResources(name string, want *schema.Resources) corev1.ResourceRequirements {
	cpu, memory := cameraCPU, cameraMemory
	if want != nil && want.CPU != "" {
		cpu = want.CPU
	}
	if want != nil && want.Memory != "" {
		memory = want.Memory
	}
	return resources(r.quantity(cameraPath(name, "resources", "cpu"), cpu),
		r.quantity(cameraPath(name, "resources", "memory"), memory), resource.MustParse(cameraMemoryLimit))
}

func (r *renderer) quantity(path, s string) resource.Quantity {
	q, err := resource.ParseQuantity(s)
	if err != nil {
		r.problem(path, fmt.Sprintf("%q is not a Kubernetes quantity; write cores such as \"500m\", memory such as \"64Mi\"", s))
	}
	return q
}

func secretName(c schema.Camera) string {
	if c.Credentials == nil {
		return ""
	}
	return c.Credentials.Secret
}

func containerPort(name string, port int32) corev1.ContainerPort {
	return corev1.ContainerPort{Name: name, ContainerPort: port, Protocol: corev1.ProtocolTCP}
}

func probe(path, port string, seconds, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(port)}},
		PeriodSeconds:    seconds,
		TimeoutSeconds:   5,
		FailureThreshold: failures,
	}
}

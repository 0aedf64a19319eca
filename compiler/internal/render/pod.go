package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// User and group that everything runs as.
const nonRoot = 65532

// Worker is the worker program's path in the camfleet image.
const Worker = "/camfleet-worker"

// Where things are in a container.
const (
	archiveDir     = "/archive"
	cameraDir      = "/etc/camfleet/camera"
	credentialsDir = "/etc/camfleet/credentials"
	liveDir        = "/run/camfleet"
)

// podSpec is what all Pods of a site have in common: Pod Security restricted,
// no service account, no rights, nothing to write to but the archive.
func (r *renderer) podSpec(volumes ...corev1.Volume) corev1.PodSpec {
	change := corev1.FSGroupChangeOnRootMismatch
	return corev1.PodSpec{
		AutomountServiceAccountToken: ptr(false),
		EnableServiceLinks:           ptr(false),
		ImagePullSecrets:             r.pullSecrets(),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot:        ptr(true),
			RunAsUser:           ptr(int64(nonRoot)),
			RunAsGroup:          ptr(int64(nonRoot)),
			FSGroup:             ptr(int64(nonRoot)),
			FSGroupChangePolicy: &change,
			SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Volumes: volumes,
	}
}

func locked() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr(false),
		ReadOnlyRootFilesystem:   ptr(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

// resources asks for cpu and memory, and limits memory only: a CPU limit would
// throttle a recorder exactly when it must catch up.
func resources(cpu, memory, limit resource.Quantity) corev1.ResourceRequirements {
	if limit.Cmp(memory) < 0 {
		limit = memory
	}
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory},
		Limits:   corev1.ResourceList{corev1.ResourceMemory: limit},
	}
}

func archiveVolume(readOnly bool) corev1.Volume {
	return corev1.Volume{Name: "archive", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: archiveName, ReadOnly: readOnly},
	}}
}

// liveVolume is where the segments of live video lie while somebody watches:
// some seconds of it, on the node's disk instead of in the Pod's memory.
func liveVolume() corev1.Volume {
	return corev1.Volume{Name: "live", VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: ptr(resource.MustParse("64Mi"))},
	}}
}

func configVolume(volume, configMap string) corev1.Volume {
	return corev1.Volume{Name: volume, VolumeSource: corev1.VolumeSource{
		ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: configMap}},
	}}
}

// credentialsVolume may be missing: the worker then says so, and reads the
// Secret as soon as it is there.
func credentialsVolume(secret string) corev1.Volume {
	return corev1.Volume{Name: "credentials", VolumeSource: corev1.VolumeSource{
		Secret: &corev1.SecretVolumeSource{SecretName: secret, DefaultMode: ptr(int32(0o440)), Optional: ptr(true)},
	}}
}

func mount(volume, path string) corev1.VolumeMount {
	return corev1.VolumeMount{Name: volume, MountPath: path, ReadOnly: true}
}

func ptr[T any](v T) *T { return &v }

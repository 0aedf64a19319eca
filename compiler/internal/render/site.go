package render

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"camfleet.dev/compiler/object"
)

// Names of a site's objects, and the ports of a camera's worker.
const (
	archiveName = "archive"
	camerasName = "cameras"
	pageName    = "page"

	portLive     = 8080
	portMetrics  = 9090
	portRestream = 8554
)

func (r *renderer) siteObjects() {
	r.add(origin{path: "site"}, r.namespace())
	r.add(origin{path: "site.storage"}, r.claim())
	r.add(origin{path: "site"}, r.cameras())
}

func (r *renderer) namespace() *corev1.Namespace {
	const level = "restricted"
	return &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
		ObjectMeta: metav1.ObjectMeta{Name: r.ns, Labels: map[string]string{
			"pod-security.kubernetes.io/enforce": level,
			"pod-security.kubernetes.io/audit":   level,
			"pod-security.kubernetes.io/warn":    level,
		}},
	}
}

// claim holds the recordings of all the site's cameras.
func (r *renderer) claim() *corev1.PersistentVolumeClaim {
	size := resource.NewQuantity(int64(r.Site.Storage.Size), resource.BinarySI)
	pvc := &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: r.meta(archiveName),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.PersistentVolumeAccessMode(r.Site.Storage.AccessMode)},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: *size}},
		},
	}
	if class := r.Site.Storage.Class; class != "" {
		pvc.Spec.StorageClassName = &class
	}
	return pvc
}

// cameras gives every camera Pod a DNS name of its own. An unready Pod keeps
// it: a camera whose recording fails may still be watched live.
func (r *renderer) cameras() *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: r.meta(camerasName),
		Spec: corev1.ServiceSpec{
			ClusterIP:                corev1.ClusterIPNone,
			PublishNotReadyAddresses: true,
			Selector:                 map[string]string{object.LabelSite: r.Name, object.LabelRole: object.RoleCamera},
			Ports: []corev1.ServicePort{
				servicePort("live", portLive), servicePort("metrics", portMetrics), servicePort("restream", portRestream),
			},
		},
	}
}

func servicePort(name string, port int32) corev1.ServicePort {
	return corev1.ServicePort{Name: name, Port: port, TargetPort: intstr.FromString(name), Protocol: corev1.ProtocolTCP}
}

func (r *renderer) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: r.ns, Name: name}
}

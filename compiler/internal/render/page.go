package render

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"camfleet.dev/compiler/object"
	"camfleet.dev/compiler/page"
)

// pageObjects are what serves the site's page: nginx, its configuration, its
// Service and, where it has a host, its Ingress.
func (r *renderer) pageObjects() {
	from := origin{path: "site", role: object.RolePage}
	if r.Site.Page != nil {
		from.path = "site.page"
	}
	config, err := page.NewConfig(r.Fleet.Name, page.NewSite(r.Name, r.Site), r.door())
	if err != nil {
		r.problem(from.path, err.Error())
		return
	}
	r.add(from, &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: r.meta(pageName),
		Data:       config.Data,
		BinaryData: config.Binary,
	})
	r.add(from, r.pageDeployment(r.siteLabels(from), config))
	r.add(from, &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: r.meta(pageName),
		Spec: corev1.ServiceSpec{
			Selector: r.siteLabels(from),
			Ports:    []corev1.ServicePort{{Name: pagePort, Port: 80, TargetPort: intstr.FromString(pagePort), Protocol: corev1.ProtocolTCP}},
		},
	})
	r.ingress(from)
}

// pagePort is the page's port, in its Pod and in its Service.
const pagePort = "http"

// pageDeployment is restarted when nginx.conf changes, which nginx does not
// notice; the page's files and data are read anew with every request.
func (r *renderer) pageDeployment(labels map[string]string, config page.Config) *appsv1.Deployment {
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: r.meta(pageName),
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr(int32(1)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{
					object.AnnotationHash: digest([]byte(config.Data[page.ConfigName])),
				}},
				Spec: r.pagePod(),
			},
		},
	}
}

func (r *renderer) pagePod() corev1.PodSpec {
	run := corev1.Volume{Name: "run", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
		Medium: corev1.StorageMediumMemory, SizeLimit: ptr(resource.MustParse("16Mi")),
	}}}
	volumes := []corev1.Volume{archiveVolume(true), configVolume("page", pageName), run}
	mounts := []corev1.VolumeMount{mount("archive", page.PodArchive), mount("page", page.PodConfig), {Name: "run", MountPath: page.PodRun}}
	if secret := r.door(); secret != "" {
		volumes = append(volumes, doorVolume(secret))
		mounts = append(mounts, mount("auth", page.PodAuth))
	}
	spec := r.podSpec(volumes...)
	spec.RestartPolicy = corev1.RestartPolicyAlways
	small := resources(resource.MustParse("10m"), resource.MustParse("16Mi"), resource.MustParse("128Mi"))
	// nginx reads no resolv.conf; the worker's image writes one in nginx's own words.
	spec.InitContainers = []corev1.Container{{
		Name:            "resolver",
		Image:           r.image(r.ClusterSpec.Images.Camfleet),
		Command:         []string{Worker, "nginx-resolver", "-o", page.PodRun + "/" + page.Resolver},
		VolumeMounts:    []corev1.VolumeMount{{Name: "run", MountPath: page.PodRun}},
		Resources:       small,
		SecurityContext: locked(),
	}}
	spec.Containers = []corev1.Container{{
		Name:  "nginx",
		Image: r.image(r.ClusterSpec.Images.Nginx),
		// -e: without it nginx begins by opening a log on the read-only root.
		Command:         []string{"nginx", "-e", "stderr", "-c", page.PodConfig + "/" + page.ConfigName},
		Ports:           []corev1.ContainerPort{containerPort(pagePort, page.Port)},
		VolumeMounts:    mounts,
		Resources:       small,
		SecurityContext: locked(),
		ReadinessProbe:  probe("/healthz", pagePort, 5, 3),
		LivenessProbe:   probe("/healthz", pagePort, 30, 4),
	}}
	r.schedule(&spec, "")
	return spec
}

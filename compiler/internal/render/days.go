package render

import (
	"fmt"
	"hash/fnv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"camfleet.dev/compiler/object"
)

// The minutes of the local day in which day files are begun: well after
// midnight, and after the latest hour at which clocks are put forward or back.
const (
	firstMinute = 4*60 + 10
	minutes     = 3 * 60
)

// Limits of one run: it catches up all missed days.
const (
	daysDeadline = 6 * 3600 // seconds
	daysRetries  = 2
)

// cronSchedule spreads the cameras over the window by name, so that neither a
// node nor a disk is hit by all of them in one minute.
func cronSchedule(site, camera string) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%s", site, camera)
	minute := firstMinute + h.Sum32()%minutes
	return fmt.Sprintf("%d %d * * *", minute%60, minute/60)
}

func (r *renderer) days(name string) *batchv1.CronJob {
	return &batchv1.CronJob{
		TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "CronJob"},
		ObjectMeta: r.meta("days-" + name),
		Spec: batchv1.CronJobSpec{
			Schedule:                   cronSchedule(r.Name, name),
			TimeZone:                   ptr(r.Site.TimeZone),
			ConcurrencyPolicy:          batchv1.ForbidConcurrent,
			StartingDeadlineSeconds:    ptr(int64(daysDeadline)),
			SuccessfulJobsHistoryLimit: ptr(int32(1)),
			FailedJobsHistoryLimit:     ptr(int32(2)),
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{
				BackoffLimit:          ptr(int32(daysRetries)),
				ActiveDeadlineSeconds: ptr(int64(daysDeadline)),
				Template:              r.daysTemplate(name),
			}},
		},
	}
}

func (r *renderer) daysTemplate(name string) corev1.PodTemplateSpec {
	spec := r.podSpec(archiveVolume(false), configVolume("camera", "camera-"+name))
	spec.RestartPolicy = corev1.RestartPolicyNever
	spec.Containers = []corev1.Container{{
		Name:            "hls2mpeg",
		Image:           r.image(r.ClusterSpec.Images.Camfleet),
		Command:         []string{Worker, "hls2mpeg", "--config", cameraDir, "--archive", archiveDir, "--log-format", "json"},
		VolumeMounts:    []corev1.VolumeMount{archiveMount(name), mount("camera", cameraDir)},
		Resources:       resources(resource.MustParse("100m"), resource.MustParse("96Mi"), resource.MustParse("256Mi")),
		SecurityContext: locked(),
	}}
	// Not on the camera's edge: a joining job reads a whole day, and an edge may be small or away.
	r.schedule(&spec, "")
	labels := r.siteLabels(origin{camera: name, role: object.RoleDays})
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec}
}

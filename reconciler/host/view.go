package host

import (
	"encoding/json"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"

	"camfleet.dev/compiler/object"
	"camfleet.dev/compiler/page"
	"camfleet.dev/schema"
)

// key names a camera on this host.
type key struct{ site, name string }

func (k key) String() string { return k.site + "." + k.name }

// camera is a camera whose Pod and ConfigMap are both there.
type camera struct {
	key
	config schema.WorkerCamera
	raw    []byte // camera.json, as it is
}

// job is a CronJob that makes a camera's day files.
type job struct {
	key
	schedule, timeZone string
	suspended          bool
}

// view is what a set of objects means on this host. It is never changed.
type view struct {
	cameras  map[key]camera
	jobs     map[key]job
	page     []byte            // fleet.json of all sites
	fleets   []page.Fleet      // the same, of each site
	doors    map[string]string // sites that have a page → the Secret that it asks for, or ""
	closed   []string          // sites whose page asks for a Secret; sorted
	warnings []string          // what of the objects this host does not do; sorted
}

// cameraKey is a camera's configuration in its ConfigMap.
const cameraKey = "camera.json"

// viewOf reads objects. What it cannot use becomes a warning; it stops nothing else.
func viewOf(objects []object.Object) *view {
	v := &view{cameras: map[key]camera{}, jobs: map[key]job{}, doors: map[string]string{}}
	configs := map[object.ID]object.Object{}
	for _, o := range objects {
		if o.Kind == "ConfigMap" {
			configs[o.ID] = o
		}
	}
	for _, o := range objects {
		var err error
		switch {
		case o.Kind == "Pod" && o.Role == object.RoleCamera:
			err = v.addCamera(o, configs)
		case o.Kind == "CronJob" && o.Role == object.RoleDays:
			err = v.addJob(o)
		case o.Kind == "ConfigMap" && o.Role == object.RolePage:
			err = v.addPage(o)
		case !passive(o):
			err = fmt.Errorf("this host runs camfleet's own workers and nothing else: it is kept, and not run")
		}
		if err != nil {
			v.warnings = append(v.warnings, o.ID.String()+": "+err.Error())
		}
	}
	var err error
	if v.page, err = page.Merge(v.fleets...).JSON(); err != nil {
		v.warnings = append(v.warnings, "merging the sites' pages: "+err.Error())
	}
	slices.Sort(v.closed)
	slices.Sort(v.warnings)
	return v
}

// passive tells whether an object asks for nothing to be run, or for what
// this host does anyhow (its page is the server's own).
func passive(o object.Object) bool {
	switch o.Kind {
	case "Namespace", "PersistentVolumeClaim", "ConfigMap", "Secret", "Service", "NetworkPolicy", "ServiceAccount", "PodDisruptionBudget":
		return true
	case "Deployment", "Ingress":
		return o.Role == object.RolePage
	}
	return false
}

// addPage adds a site's part of the page, and its door.
func (v *view) addPage(o object.Object) error {
	data, ok := configData(o, page.Data)
	if !ok {
		return nil
	}
	secret, door := configData(o, page.Door)
	if door {
		v.closed = append(v.closed, o.Site)
		if len(secret) == 0 {
			secret = []byte("?") // no Secret is called so: nobody may enter
		}
	}
	v.doors[o.Site] = string(secret)
	var fleet page.Fleet
	if err := json.Unmarshal(data, &fleet); err != nil {
		return fmt.Errorf("its %s cannot be read, so the site is not on the page: %w", page.Data, err)
	}
	v.fleets = append(v.fleets, fleet)
	return nil
}

func (v *view) addCamera(pod object.Object, configs map[object.ID]object.Object) error {
	id := object.ID{APIVersion: "v1", Kind: "ConfigMap", Namespace: pod.Namespace, Name: pod.Name}
	raw, ok := configData(configs[id], cameraKey)
	if !ok {
		return fmt.Errorf("its ConfigMap has no %s yet", cameraKey)
	}
	c := camera{key: key{pod.Site, pod.Camera}, raw: raw}
	if err := json.Unmarshal(raw, &c.config); err != nil {
		return fmt.Errorf("reading %s: %w", cameraKey, err)
	}
	if (key{c.config.Site, c.config.Name}) != c.key || !nameRule.MatchString(c.site) || !nameRule.MatchString(c.name) {
		return fmt.Errorf("%s is of camera %s/%s, not of %s/%s", cameraKey, c.config.Site, c.config.Name, c.site, c.name)
	}
	v.cameras[c.key] = c
	return nil
}

func (v *view) addJob(o object.Object) error {
	var cron batchv1.CronJob
	if err := json.Unmarshal(o.Body, &cron); err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	j := job{key: key{o.Site, o.Camera}, schedule: cron.Spec.Schedule}
	if cron.Spec.TimeZone != nil {
		j.timeZone = *cron.Spec.TimeZone
	}
	j.suspended = cron.Spec.Suspend != nil && *cron.Spec.Suspend
	if _, err := j.parse(); err != nil {
		return err
	}
	v.jobs[j.key] = j
	return nil
}

func configData(o object.Object, name string) ([]byte, bool) {
	var config struct {
		Data map[string]string `json:"data"`
	}
	if o.Body == nil || json.Unmarshal(o.Body, &config) != nil {
		return nil, false
	}
	text, ok := config.Data[name]
	return []byte(text), ok
}

package host

import (
	"encoding/json"
	"errors"
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
	page     []byte          // fleet.json of all open sites
	open     map[string]bool // sites that have a page: true, or one with a door: false
	warnings []string        // what of the objects this host does not do; sorted
}

// cameraKey is a camera's configuration in its ConfigMap.
const cameraKey = "camera.json"

// viewOf reads objects. What it cannot use becomes a warning; it stops nothing else.
func viewOf(objects []object.Object) *view {
	v := &view{cameras: map[key]camera{}, jobs: map[key]job{}, open: map[string]bool{}}
	configs := map[object.ID]object.Object{}
	for _, o := range objects {
		if o.Kind == "ConfigMap" {
			configs[o.ID] = o
		}
	}
	var pages [][]byte
	for _, o := range objects {
		var err error
		switch {
		case o.Kind == "Pod" && o.Role == object.RoleCamera:
			err = v.addCamera(o, configs)
		case o.Kind == "CronJob" && o.Role == object.RoleDays:
			err = v.addJob(o)
		case o.Kind == "ConfigMap" && o.Role == object.RolePage:
			var data []byte
			if data, err = v.addPage(o); data != nil {
				pages = append(pages, data)
			}
		case !passive(o):
			err = fmt.Errorf("this host runs camfleet's own workers and nothing else: it is kept, and not run")
		}
		if err != nil {
			v.warnings = append(v.warnings, o.ID.String()+": "+err.Error())
		}
	}
	var err error
	if v.page, err = mergePages(pages); err != nil {
		v.warnings = append(v.warnings, err.Error())
	}
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

// addPage gives a site's part of the page. A site with a door has none: this
// host cannot ask for a password, and must not show what Git says needs one.
func (v *view) addPage(o object.Object) ([]byte, error) {
	data, ok := configData(o, page.Data)
	if !ok {
		return nil, nil
	}
	if _, door := configData(o, page.Door); door {
		v.open[o.Site] = false
		return nil, errors.New("site " + o.Site + " " + doorClosed)
	}
	if _, known := v.open[o.Site]; !known {
		v.open[o.Site] = true
	}
	return data, nil
}

// doorClosed says why a site with a door cannot be seen.
const doorClosed = "asks for a password (page: auth), and camfleet up cannot do that yet: its page, recordings and live video are closed on this machine"

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

// mergePages makes one fleet.json of the sites' own.
func mergePages(pages [][]byte) ([]byte, error) {
	fleets := make([]page.Fleet, len(pages))
	var bad error
	for i, p := range pages {
		if err := json.Unmarshal(p, &fleets[i]); err != nil {
			fleets[i] = page.Fleet{}
			bad = fmt.Errorf("a site's page data cannot be read, so the site is not on the page: %w", err)
		}
	}
	merged, err := page.Merge(fleets...).JSON()
	if err != nil {
		return nil, fmt.Errorf("merging the sites' pages: %w", err)
	}
	return merged, bad
}

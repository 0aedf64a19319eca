package enginetest

import (
	"encoding/json"
	"fmt"
	"slices"

	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// Fleet is the uid of the fleets that this package makes.
const Fleet = "5f1c0d3e-0000-4000-8000-000000000001"

// Camera describes a camera of a small fleet.
type Camera struct {
	Site, Name string
	Restart    string // what its Pod's hash covers, such as its URL
	Settings   string // what its worker reads again
	Line       int    // of its CUE
	Node       string // that it is pinned to
	CPU        string // that it asks for
}

// Result is what a compiler would make of cameras, and of sites without any.
// Each site has a namespace, a claim and a page; each camera a ConfigMap, a Pod
// and a CronJob.
func Result(cameras []Camera, sites ...string) *object.Result {
	r := &object.Result{Fleet: schema.Fleet{Name: "test", UID: Fleet}}
	for _, c := range cameras {
		if !slices.Contains(sites, c.Site) {
			sites = append(sites, c.Site)
		}
		r.Objects = append(r.Objects, CameraObjects(c)...)
	}
	slices.Sort(sites)
	for _, site := range sites {
		s := object.Site{Name: site}
		for _, c := range cameras {
			if c.Site == site {
				s.Cameras = append(s.Cameras, c.Name)
			}
		}
		slices.Sort(s.Cameras)
		r.Sites = append(r.Sites, s)
		r.Objects = append(r.Objects, siteObjects(site)...)
	}
	slices.SortFunc(r.Objects, func(a, b object.Object) int { return a.ID.Compare(b.ID) })
	return r
}

// CameraObjects are the objects of one camera.
func CameraObjects(c Camera) []object.Object {
	name := "camera-" + c.Name
	source := object.Position{File: "sites/" + c.Site + "/cameras.cue", Line: max(1, c.Line), Column: 2}
	settings, _ := json.Marshal(map[string]string{"settings": c.Settings, "url": c.Restart})
	objects := []object.Object{
		{ID: object.ID{APIVersion: "v1", Kind: "ConfigMap", Name: name}, Role: object.RoleCamera},
		{ID: object.ID{APIVersion: "v1", Kind: "Pod", Name: name}, Role: object.RoleCamera, Hash: "h" + c.Restart},
		{ID: object.ID{APIVersion: "batch/v1", Kind: "CronJob", Name: "days-" + c.Name}, Role: object.RoleDays},
	}
	for i := range objects {
		o := &objects[i]
		o.Namespace, o.Site, o.Camera, o.Source = "camfleet-"+c.Site, c.Site, c.Name, source
		content := map[string]any{}
		if o.Kind == "ConfigMap" {
			content["data"] = map[string]string{"camera.json": string(settings)}
		}
		if spec := podSpec(c); o.Kind == "Pod" && len(spec) > 0 {
			content["spec"] = spec
		}
		o.Body = Body(*o, content)
	}
	return objects
}

// podSpec is as much of a Pod's spec as a test asks for.
func podSpec(c Camera) map[string]any {
	type object = map[string]any
	spec := object{}
	if c.Node != "" {
		fields := []object{{"key": "metadata.name", "operator": "In", "values": []string{c.Node}}}
		spec["affinity"] = object{"nodeAffinity": object{
			"requiredDuringSchedulingIgnoredDuringExecution": object{"nodeSelectorTerms": []object{{"matchFields": fields}}},
		}}
	}
	if c.CPU != "" {
		spec["containers"] = []object{{"name": "rtsp2hls", "resources": object{"requests": object{"cpu": c.CPU}}}}
	}
	return spec
}

func siteObjects(site string) []object.Object {
	ns := "camfleet-" + site
	objects := []object.Object{
		{ID: object.ID{APIVersion: "v1", Kind: "Namespace", Name: ns}},
		{ID: object.ID{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: ns, Name: "archive"}},
		{ID: object.ID{APIVersion: "apps/v1", Kind: "Deployment", Namespace: ns, Name: "page"}, Role: object.RolePage},
	}
	for i := range objects {
		objects[i].Site = site
		objects[i].Source = object.Position{File: "sites/" + site + "/site.cue", Line: 3, Column: 1}
		objects[i].Body = Body(objects[i], nil)
	}
	return objects
}

// Body is the JSON of an object with the labels and annotations of a fleet's own, and content beside them.
func Body(o object.Object, content map[string]any) json.RawMessage {
	body := map[string]any{}
	for k, v := range content {
		body[k] = v
	}
	annotations := map[string]string{object.AnnotationSource: o.Source.File}
	if o.Hash != "" {
		annotations[object.AnnotationHash] = o.Hash
	}
	labels := map[string]string{object.LabelManagedBy: object.ManagedBy, object.LabelFleet: Fleet, object.LabelSite: o.Site}
	if o.Camera != "" {
		labels[object.LabelCamera] = o.Camera
	}
	if o.Role != "" {
		labels[object.LabelRole] = o.Role
	}
	metadata := map[string]any{"name": o.Name, "labels": labels, "annotations": annotations}
	if o.Namespace != "" {
		metadata["namespace"] = o.Namespace
	}
	body["apiVersion"], body["kind"], body["metadata"] = o.APIVersion, o.Kind, metadata
	raw, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("enginetest: %v", err)) // content of a test
	}
	return raw
}

// Cameras makes n cameras of a site: c0, c1 …
func Cameras(site string, n int) []Camera {
	out := make([]Camera, n)
	for i := range out {
		out[i] = Camera{Site: site, Name: fmt.Sprintf("c%d", i), Restart: "r", Settings: "s", Line: 10 + i}
	}
	return out
}

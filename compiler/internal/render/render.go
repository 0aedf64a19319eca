package render

import (
	"maps"
	"slices"

	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
)

// Input is one site and what it refers to. It has been validated: names are
// within their limits, what is referred to exists.
type Input struct {
	Fleet       schema.Fleet
	Cluster     string // name of the site's cluster
	ClusterSpec schema.Cluster
	Name        string // of the site
	Site        schema.Site
	// Pos finds the place of a CUE path such as site.cameras.north.url, or
	// of its nearest parent.
	Pos func(path string) object.Position
}

// Output is a rendered site. With Problems, Objects are not to be used.
type Output struct {
	Objects  []object.Object // sorted by ID
	Problems []object.Problem
	Warnings []object.Problem
}

// Namespace is the Kubernetes namespace of a site.
func Namespace(site string) string { return "camfleet-" + site }

// Site renders one site.
func Site(in Input) Output {
	r := &renderer{Input: in, ns: Namespace(in.Name)}
	r.place = r.placement()
	r.storageFits()
	r.siteObjects()
	r.pageObjects()
	for _, name := range slices.Sorted(maps.Keys(in.Site.Cameras)) {
		r.cameraObjects(name, in.Site.Cameras[name])
	}
	slices.SortFunc(r.out.Objects, func(a, b object.Object) int { return a.Compare(b.ID) })
	slices.SortFunc(r.out.Problems, object.Problem.Compare)
	slices.SortFunc(r.out.Warnings, object.Problem.Compare)
	return r.out
}

// renderer collects a site's output.
type renderer struct {
	Input
	ns    string
	place placement
	out   Output
}

func (r *renderer) problem(path, message string) {
	r.out.Problems = append(r.out.Problems, r.at(path, message))
}

func (r *renderer) warn(path, message string) {
	r.out.Warnings = append(r.out.Warnings, r.at(path, message))
}

func (r *renderer) at(path, message string) object.Problem {
	return object.Problem{Site: r.Name, Position: r.Pos(path), Path: path, Message: message}
}

// cameraPath is the CUE path of a camera's field.
func cameraPath(camera string, fields ...string) string {
	path := "site.cameras." + camera
	for _, f := range fields {
		path += "." + f
	}
	return path
}

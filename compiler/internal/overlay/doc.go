// Package overlay applies a site's own kustomization.yaml to the objects that
// camfleet has rendered for it. Only build.go runs kustomize.
//
//	kustomization.yaml ─► scan ─► a rewritten copy ─► krusty ─► accept ─► objects
//	rendered objects ──────────────────┘
//
// kustomize is made for people who trust their input: it fetches what looks
// like a URL and starts git even when its file system is in memory, it expands
// YAML aliases without an end, and JSON patches can double a value with every
// line. Therefore it never sees what a user wrote:
//
//   - The file is decoded as kustomize decodes it, only the fields in
//     allowed are taken over into a new one, everything else is refused.
//   - Every path must be a file or folder inside the site's folder. Its content
//     is copied to a name of our own making, so that no path is ever looked at
//     for what kustomize might take it for.
//   - YAML aliases, anchors and the JSON patch operation "copy" are refused, and sizes are bounded.
//   - The data of camfleet's own ConfigMaps is not in the run at all.
//
// Afterwards: names, namespaces and labels of camfleet's objects are as they
// were, what a worker cannot do without is still there, every Pod satisfies Pod
// Security restricted and gets no token for the Kubernetes API, no Service draws
// others' traffic, what is added is in the site's namespace and of a kind that
// the reconciler applies (kinds.go), names and labels are Kubernetes' (meta.go).
// The API server would refuse most of it, but late, and again and again.
//
// A patched Pod spec is part of the Pod's hash: the new hash is made of the one
// before and the new spec. Patched labels and annotations restart nothing, and
// neither do other amounts of CPU and memory, which are changed in place.
//
// kustomize's cost grows with the square of the objects. Where a kustomization
// treats each object by itself (targeted patches, images, labels, annotations)
// it is run over parts of the site, which gives the same objects; a test holds
// the two against each other. Any other is refused above maxObjects.
package overlay

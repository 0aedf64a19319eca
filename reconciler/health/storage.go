package health

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"camfleet.dev/reconciler/cluster"
)

// claim looks at where a site's recordings are.
func (c *checker) claim(p cluster.Claim) {
	look := fmt.Sprintf("; kubectl describe pvc %s -n %s", p.Name, p.Namespace)
	switch p.Phase {
	case string(corev1.ClaimLost):
		c.add(p.Thing, Failed, p.Created, "its volume is gone, and the recordings with it"+look)
	case string(corev1.ClaimBound):
		c.size(p)
	default:
		if !c.young(p.Created) {
			class := "the cluster's default storage class"
			if p.Class != "" {
				class = "storage class " + p.Class
			}
			c.add(p.Thing, Degraded, p.Created, "no volume was found for it, so that no camera of the site records: look at "+class+look)
		}
	}
	if cameras := c.full[p.Site]; len(cameras) > 0 {
		c.add(p.Thing, Failed, noTime, "there is no room left for "+named(cameras)+": make site.storage.size larger, or their retention shorter")
	}
}

// size looks at a change of the size of a claim.
func (c *checker) size(p cluster.Claim) {
	wanted, err1 := resource.ParseQuantity(p.Wanted)
	has, err2 := resource.ParseQuantity(p.Capacity)
	if err1 != nil || err2 != nil || wanted.Cmp(has) <= 0 && p.Resizing == "" {
		return
	}
	what := fmt.Sprintf("it wants %s and has %s", p.Wanted, p.Capacity)
	switch {
	case strings.Contains(p.Resizing, string(corev1.PersistentVolumeClaimFileSystemResizePending)):
		what += "; the rest comes when the node that uses it is ready for it, or its Pods start again"
	case p.Resizing != "":
		what += "; " + p.Resizing
	default:
		what += "; nothing says that this is being changed: can its storage class (allowVolumeExpansion)?"
	}
	c.add(p.Thing, Degraded, noTime, what)
}

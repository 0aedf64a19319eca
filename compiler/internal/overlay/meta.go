package overlay

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	validname "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"camfleet.dev/compiler/object"
)

// maxCronJob is the longest name of a CronJob: its Jobs' names are longer.
const maxCronJob = 52

// checkMeta says before the API server does what is wrong with an object's
// name, labels and annotations, and refuses what would keep the reconciler from
// deleting it, or delete it behind its back.
func checkMeta(id object.ID, body json.RawMessage) []string {
	var o struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return []string{fmt.Sprintf("its metadata: %v", err)}
	}
	m := &o.Metadata
	var out []string
	for _, err := range validation.ValidateObjectMeta(m, id.Kind != "Namespace", nameRule(id.Kind), field.NewPath("metadata")) {
		out = append(out, err.Field+": "+err.Detail)
	}
	for name, set := range map[string]bool{
		"finalizers": len(m.Finalizers) > 0, "ownerReferences": len(m.OwnerReferences) > 0, "generateName": m.GenerateName != "",
	} {
		if set {
			out = append(out, "metadata."+name+" is not an overlay's to set; take it out")
		}
	}
	return out
}

// nameRule is what Kubernetes says of a kind's names.
func nameRule(kind string) validation.ValidateNameFunc {
	switch kind {
	case "Service":
		return validation.NameIsDNS1035Label
	case "Namespace":
		return validation.ValidateNamespaceName
	case "CronJob":
		return func(name string, prefix bool) []string {
			if len(name) > maxCronJob {
				return []string{validname.MaxLenError(maxCronJob)}
			}
			return validation.NameIsDNSSubdomain(name, prefix)
		}
	}
	return validation.NameIsDNSSubdomain
}

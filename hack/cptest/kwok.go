package cptest

import (
	"context"
	"net/http"
)

// holdKwok keeps kwok from what no kubelet does: it ends a Pod by deleting it by
// name, without its UID, sometimes twice, and the second time may hit the next Pod
// of that name. A Pod that nobody has asked to go, it cannot end.
func (c *Cluster) holdKwok(ctx context.Context) error {
	const (
		group = "/apis/admissionregistration.k8s.io/v1/"
		name  = "kwok-ends-what-is-ending"
	)
	for resource, o := range map[string]object{
		"validatingadmissionpolicies": {
			"kind": "ValidatingAdmissionPolicy",
			"spec": object{
				"matchConstraints": object{"resourceRules": []object{{
					"apiGroups": []string{""}, "apiVersions": []string{"v1"}, "operations": []string{http.MethodDelete}, "resources": []string{"pods"},
				}}},
				"matchConditions": []object{{"name": "kwok", "expression": "request.userInfo.username == 'kwok'"}},
				"validations":     []object{{"expression": "has(oldObject.metadata.deletionTimestamp)", "message": "this Pod is not ending: it is another one of that name"}},
			},
		},
		"validatingadmissionpolicybindings": {
			"kind": "ValidatingAdmissionPolicyBinding",
			"spec": object{"policyName": name, "validationActions": []string{"Deny"}},
		},
	} {
		o["apiVersion"], o["metadata"] = "admissionregistration.k8s.io/v1", object{"name": name}
		if err := c.create(ctx, group+resource, o); err != nil {
			return err
		}
	}
	return nil
}

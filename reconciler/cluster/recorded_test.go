package cluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// recording is an object as the compiler rendered it, and as an API server had
// it when its controllers had worked on it: go test ./reconciler/cluster -run TestRecord -record.
type recording struct {
	Want json.RawMessage `json:"want"`
	Live json.RawMessage `json:"live"`
}

var recorded = filepath.Join("testdata", "recorded.json")

// TestRecorded: of an object that nobody has touched, exactly what was rendered is ours.
func TestRecorded(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	var all []recording
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, r := range all {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(r.Live); err != nil {
			t.Fatal(err)
		}
		kinds[u.GetKind()] = true
		got, _, err := owned(u)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != sorted(t, r.Want) {
			t.Errorf("%s %s:\ngot  %s\nwant %s", u.GetKind(), u.GetName(), got, r.Want)
		}
	}
	if len(kinds) < 8 {
		t.Errorf("recorded are only %v", kinds)
	}
}

package cluster

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var record = flag.Bool("record", false, "write testdata/recorded.json anew")

// TestRecord writes the recordings, when told to.
func TestRecord(t *testing.T) {
	if !*record {
		t.Skip("it writes testdata; -record makes it")
	}
	w := newWorld(t, "north")
	r := w.compile()
	w.mustSync(r)
	w.until("the Pod runs", func() bool {
		return w.see("Pod", "camera-north").Object["status"].(map[string]any)["phase"] == "Running"
	})
	var all []recording
	for _, o := range r.Objects {
		if o.Kind == "ConfigMap" && o.Name == "page" {
			continue // it is large, and holds but texts
		}
		u, err := w.api(o.ID).Get(t.Context(), o.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		live, err := u.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, recording{Want: o.Body, Live: live})
	}
	out, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(recorded), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(recorded, append(out, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

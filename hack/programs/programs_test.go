package programs

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestPrograms(t *testing.T) {
	t.Parallel()
	var set Set
	for name, want := range map[string]string{"camfleet": "camfleet", "camfleet-worker": "camfleet-worker"} {
		out, err := exec.Command(set.Path(t, name), "version").CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("%s version: %v\n%s", name, err, out)
		}
	}
	path := set.Path(t, "camfleet")
	if err := set.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("what was built is still there: %v", err)
	}
}

package object_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"

	"camfleet.dev/compiler/object"
)

func TestModest(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "0", "500m", "1.5", "64Mi", "8E", "8Ei", "1e3", "1E-3", "1e+09", "1e0000000003", "-5", "junk"} {
		if !object.Modest(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"1e100", "1E-100", "1e999999999", "1e+999999999", "-1e-999999999", "1e00999", strings.Repeat("9", 41), "0." + strings.Repeat("0", 40) + "1"} {
		if object.Modest(s) {
			t.Errorf("%q is taken", s)
		}
	}
}

// FuzzModest holds that what is modest is read and compared at once.
func FuzzModest(f *testing.F) {
	for _, s := range []string{"1e99", "9e-99", "8Ei", "0.000000000000000001", "1e999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !object.Modest(s) {
			return
		}
		began := time.Now()
		if q, err := resource.ParseQuantity(s); err == nil {
			q.Cmp(resource.MustParse("1"))
			_ = q.String()
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%q takes %v", s, took)
		}
	})
}

package schema_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"

	"camfleet.dev/schema"
)

func TestUnits(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"500ms": 500 * time.Millisecond, "2s": 2 * time.Second, "15m": 15 * time.Minute, "12h": 12 * time.Hour, "7d": 7 * 24 * time.Hour, "0s": 0,
	} {
		if d, err := schema.ParseDuration(in); err != nil || d.Std() != want || d.String() != in {
			t.Errorf("ParseDuration(%q) = %v (%v), %v", in, d, d.Std(), err)
		}
	}
	for in, want := range map[string]schema.Size{"500Gi": 500 << 30, "64G": 64e9, "1k": 1000, "3": 3, "2Ti": 2 << 40} {
		if s, err := schema.ParseSize(in); err != nil || s != want || s.String() != in {
			t.Errorf("ParseSize(%q) = %v (%d), %v", in, s, int64(s), err)
		}
	}
	for in, want := range map[string]schema.Bitrate{"4Mbps": 4e6, "800kbps": 8e5, "1Gbps": 1e9, "9bps": 9} {
		if b, err := schema.ParseBitrate(in); err != nil || b != want || b.String() != in {
			t.Errorf("ParseBitrate(%q) = %v (%d), %v", in, b, int64(b), err)
		}
	}
}

func TestUnitsRefuse(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "s", "-2s", "+2s", "2", "2 s", "1.5h", "2sec", "99999999999999d", "0x1s", "２s"} {
		if d, err := schema.ParseDuration(in); err == nil {
			t.Errorf("ParseDuration(%q) = %v", in, d)
		} else if !strings.Contains(err.Error(), "15m") {
			t.Errorf("ParseDuration(%q): %v does not say what is right", in, err)
		}
	}
	for _, in := range []string{"", "Gi", "-1G", "5gb", "1.5G", "99999999999Ti"} {
		if s, err := schema.ParseSize(in); err == nil {
			t.Errorf("ParseSize(%q) = %v", in, s)
		}
	}
	for _, in := range []string{"", "4", "4M", "4Mb/s", "-4Mbps", "99999999999Gbps"} {
		if b, err := schema.ParseBitrate(in); err == nil {
			t.Errorf("ParseBitrate(%q) = %v", in, b)
		}
	}
}

// TestUnitsAgreeWithCUE holds that what the schema accepts, Go can read.
func TestUnitsAgreeWithCUE(t *testing.T) {
	t.Parallel()
	v := build(t)
	accepts := func(def, s string) bool {
		d := v.LookupPath(cue.ParsePath(def))
		return d.Unify(cuecontext.New().Encode(s)).Validate(cue.Concrete(true)) == nil
	}
	numbers := []string{"", "0", "1", "9", "10", "999", "99999", "999999", "9999999", "00", "-1", "1.5", "1e3"}
	units := []string{"", "ms", "s", "m", "h", "d", "w", "Ki", "Mi", "Gi", "Ti", "Pi", "k", "M", "G", "T", "bps", "kbps", "Mbps", "Gbps", "b"}
	for _, n := range numbers {
		for _, u := range units {
			s := n + u
			_, duration := schema.ParseDuration(s)
			_, size := schema.ParseSize(s)
			_, bitrate := schema.ParseBitrate(s)
			for def, err := range map[string]error{"#Duration": duration, "#Age": duration, "#Size": size, "#Bitrate": bitrate} {
				if accepts(def, s) && err != nil {
					t.Errorf("%s accepts %q, and Go does not: %v", def, s, err)
				}
			}
		}
	}
}

func FuzzUnits(f *testing.F) {
	for _, s := range []string{"2s", "7d", "500Gi", "4Mbps", "", "-1s", "9223372036854775807", "106752d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := schema.ParseDuration(s); err == nil {
			roundTrip(t, s, d, schema.ParseDuration)
		}
		if n, err := schema.ParseSize(s); err == nil {
			roundTrip(t, s, n, schema.ParseSize)
		}
		if b, err := schema.ParseBitrate(s); err == nil {
			roundTrip(t, s, b, schema.ParseBitrate)
		}
	})
}

func roundTrip[T interface {
	~int64
	String() string
}](t *testing.T, in string, v T, parse func(string) (T, error)) {
	t.Helper()
	if v < 0 {
		t.Errorf("%q is negative: %d", in, int64(v))
	}
	if back, err := parse(v.String()); err != nil || back != v {
		t.Errorf("%q → %s → %v, %v", in, v, back, err)
	}
	data, err := json.Marshal(v)
	var back T
	if err != nil || json.Unmarshal(data, &back) != nil || back != v {
		t.Errorf("%q → %s → %v, %v", in, data, back, err)
	}
}

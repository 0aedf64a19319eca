package compiler

import (
	"archive/zip"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

// TestZonesAreTheDistributions holds the list to the Go distribution that builds
// us, whose zones time/tzdata has.
func TestZonesAreTheDistributions(t *testing.T) {
	t.Parallel()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("go env: %v", err)
	}
	z, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skipf("this Go has no zone information beside it: %v", err)
	}
	defer z.Close()
	var want []string
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, "/") {
			want = append(want, f.Name)
		}
	}
	slices.Sort(want)
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		if err := os.WriteFile("zones.txt", []byte(strings.Join(want, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !slices.Equal(zones(), want) {
		t.Errorf("zones.txt has %d zones, the distribution %d: run go test ./compiler -update", len(zones()), len(want))
	}
}

func TestZones(t *testing.T) {
	t.Parallel()
	if !slices.IsSorted(zones()) {
		t.Error("zones.txt is not sorted")
	}
	for name, want := range map[string]bool{
		"UTC": true, "Europe/Berlin": true, "America/Argentina/Ushuaia": true,
		"Local": false, "": false, "europe/berlin": false, "CET+1": false, "../etc/passwd": false,
	} {
		if zoneExists(name) != want {
			t.Errorf("%q exists: %v", name, !want)
		}
	}
	for _, name := range zones() {
		if _, err := time.LoadLocation(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for in, want := range map[string]string{
		"berlin": "Europe/Berlin", "Europa/Berlin": "Europe/Berlin", "Europe/Berlni": "Europe/Berlin", "utc": "UTC", "Nowhere/At_All": "IANA",
	} {
		if got := zoneHint(in); !strings.Contains(got, want) {
			t.Errorf("%q: %s", in, got)
		}
	}
}

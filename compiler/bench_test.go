package compiler_test

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"camfleet.dev/compiler"
)

func largeFleet(sites, cameras int) fstest.MapFS {
	files := map[string]string{}
	for i := range sites {
		name := fmt.Sprintf("site-%03d", i)
		files["sites/"+name+"/site.cue"] = rightSite(name, cameras)
	}
	return fleetFS(files)
}

// BenchmarkCompile reports, beside the wall time, processor time per camera and
// the peak memory of the whole test process (run one size at a time for that).
func BenchmarkCompile(b *testing.B) {
	for _, size := range []struct{ sites, cameras int }{{1, 10}, {1, 100}, {1, 1000}, {100, 100}} {
		b.Run(fmt.Sprintf("%dx%d", size.sites, size.cameras), func(b *testing.B) {
			fsys := largeFleet(size.sites, size.cameras)
			before := usage()
			for b.Loop() {
				r := compile(b, fsys, compiler.Options{})
				if len(r.Problems) > 0 || len(r.Sites) != size.sites {
					b.Fatal(len(r.Sites), r.Problems)
				}
			}
			after := usage()
			cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
			b.ReportMetric(float64(cpu.Microseconds())/float64(b.N*size.sites*size.cameras), "cpu-µs/camera")
			b.ReportMetric(float64(after.Maxrss)/1024, "peak-MiB")
		})
	}
}

// BenchmarkCompileBroken is the worst case of diagnosis: every camera is wrong.
func BenchmarkCompileBroken(b *testing.B) {
	fsys := largeFleet(1, 1000)
	f := fsys["sites/site-000/site.cue"]
	f.Data = bytes.ReplaceAll(f.Data, []byte("bitrate: \"2Mbps\""), []byte("bitrate: 2\n\t\ttransport: \"tpc\""))
	for b.Loop() {
		if r := compile(b, fsys, compiler.Options{}); len(r.Problems) == 0 {
			b.Fatal("no problems")
		}
	}
}

func usage() (u syscall.Rusage) {
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u
}

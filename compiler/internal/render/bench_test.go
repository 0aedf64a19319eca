package render

import (
	"fmt"
	"testing"

	"camfleet.dev/schema"
)

// BenchmarkSite renders 100 cameras; its time per op / 100 is that of a camera.
func BenchmarkSite(b *testing.B) {
	in := gate()
	in.Site.Storage.Size = 1 << 60
	in.Site.Cameras = map[string]schema.Camera{}
	const cameras = 100
	for i := range cameras {
		in.Site.Cameras[fmt.Sprintf("cam-%03d", i)] = camera(fmt.Sprintf("rtsp://10.0.0.%d/stream", i))
	}
	b.ReportAllocs()
	for b.Loop() {
		if out := Site(in); len(out.Objects) < 4*cameras || len(out.Problems) > 0 {
			b.Fatal(len(out.Objects), out.Problems)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/cameras, "µs/camera")
}

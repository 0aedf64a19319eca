package health_test

import (
	"fmt"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/health"
)

// BenchmarkThousand is what one look at the health of 1,000 cameras costs.
func BenchmarkThousand(b *testing.B) {
	var obs cluster.Observation
	var want []health.Camera
	for i := range 1000 {
		camera := fmt.Sprintf("c%04d", i)
		want = append(want, health.Camera{Site: "gate", Name: camera})
		obs.Pods = append(obs.Pods, pod(func(p *cluster.Pod) { p.Ready, p.Camera, p.Name = i%10 > 0, camera, "camera-"+camera }))
		obs.CronJobs = append(obs.CronJobs, cluster.CronJob{
			Thing: thing("CronJob", "days-"+camera, camera, object.RoleDays), Schedule: fmt.Sprintf("%d %d * * *", i%60, 4+i/60%3),
			TimeZone: "Europe/Berlin", Created: now.Add(-100 * 24 * time.Hour), Success: now.Add(-5 * time.Hour),
		})
	}
	obs.Nodes = nodes(nil)
	for b.Loop() {
		cameras := health.Cameras(want, obs, nil)
		if n := len(cameras); n != 1000 || len(health.Nodes(want, obs)) != 1 {
			b.Fatal(n)
		}
		if found := health.Check(obs, cameras, now); len(found) > 0 {
			b.Fatal(found[0])
		}
	}
}

// Package metrics holds what Prometheus can ask about the cameras of one
// worker. The caller makes the registry; a camera that goes away takes its
// series with it.
//
// Every series carries the labels site and camera and no other than those
// named below: never a URL, a user or a password.
package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Set is the metrics of all cameras of one process. It is a
// prometheus.Collector, so that ages are computed when they are asked for and
// a steady state costs nothing in between.
type Set struct {
	now func() time.Time

	mutex   sync.Mutex
	cameras map[key]*Camera
}

type key struct{ site, camera string }

// New makes an empty Set and registers it; now is the clock that ages are
// measured with (nil: the system's).
func New(r prometheus.Registerer, now func() time.Time) (*Set, error) {
	if now == nil {
		now = time.Now
	}
	s := &Set{now: now, cameras: map[key]*Camera{}}
	return s, r.Register(s)
}

// Camera returns the metrics of one camera, making them when they are not there yet.
func (s *Set) Camera(site, camera string) *Camera {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	k := key{site, camera}
	c, ok := s.cameras[k]
	if !ok {
		c = newCamera(site, camera)
		s.cameras[k] = c
	}
	return c
}

// Remove forgets a camera: its series are gone at the next scrape.
func (s *Set) Remove(site, camera string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.cameras, key{site, camera})
}

// Describe sends nothing: the Set is an unchecked collector, because cameras come and go.
func (s *Set) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics of every camera.
func (s *Set) Collect(ch chan<- prometheus.Metric) {
	s.mutex.Lock()
	cameras := make([]*Camera, 0, len(s.cameras))
	for _, c := range s.cameras {
		cameras = append(cameras, c)
	}
	s.mutex.Unlock()
	now := s.now()
	for _, c := range cameras {
		c.collect(ch, now)
	}
}

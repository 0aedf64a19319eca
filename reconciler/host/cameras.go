package host

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"camfleet.dev/reconciler/status"
	"camfleet.dev/workers/archive"
)

// A camera that says it is live and whose playlist has not changed for
// staleSegments segments and staleSlack is not.
const (
	staleSegments = 3
	staleSlack    = 5 * time.Second
)

// Cameras are the cameras that run on this host, and how they are. They come
// from the objects, so a camera of a broken site is among them.
func (h *Host) Cameras() []status.Camera {
	v := h.view()
	out := make([]status.Camera, 0, len(v.cameras))
	now := h.options.Clock.Now()
	for k, c := range v.cameras {
		s := h.state(c, now)
		cam := status.Camera{Site: k.site, Name: k.name, State: string(s.State), Since: s.Since, Message: s.Message}
		if !c.config.Disabled {
			cam.LowLatency = fmt.Sprintf("/live/%s/%s/index.m3u8", k.site, k.name)
			if c.config.Recording.Enabled {
				cam.Live = fmt.Sprintf("/archive/%s/%s/%s", k.site, k.name, archive.LiveName)
			}
		}
		out = append(out, cam)
	}
	slices.SortFunc(out, func(a, b status.Camera) int {
		return cmp.Or(cmp.Compare(a.Site, b.Site), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// state is what the camera's archive says, unless that cannot be true any more.
func (h *Host) state(c camera, now time.Time) archive.Status {
	dir := archive.Dir(filepath.Join(h.options.Archive, c.site, c.name))
	s, err := archive.ReadStatus(dir)
	switch {
	case c.config.Disabled:
		return archive.Status{State: archive.Disabled, Since: cmpTime(s.Since, h.since)}
	case err != nil:
		s = archive.Status{State: archive.Connecting, Since: h.since} // its worker has not said anything yet
	case s.State == archive.Disabled:
		s = archive.Status{State: archive.Connecting, Since: s.Since} // not any more
	}
	if s.State == archive.Live && c.config.Recording.Enabled {
		limit := staleSegments*c.config.Recording.Segment.Std() + staleSlack
		if at, ok := modified(string(dir)); ok && now.Sub(at) > limit && now.Sub(s.Since) > limit {
			s.State, s.Since, s.Message = archive.Stale, at, "nothing has been recorded since"
		}
	}
	return s
}

func modified(dir string) (time.Time, bool) {
	info, err := os.Stat(filepath.Join(dir, archive.LiveName))
	if err != nil || info.Mode()&fs.ModeType != 0 {
		return time.Time{}, false
	}
	return info.ModTime(), true
}

func cmpTime(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

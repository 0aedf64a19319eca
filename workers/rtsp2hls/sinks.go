package rtsp2hls

import "camfleet.dev/workers/media"

// fanout gives everything to all of its sinks.
type fanout []media.Sink

// sinks is a Sink of those that are not nil.
func sinks(all ...media.Sink) media.Sink {
	var f fanout
	for _, s := range all {
		if s != nil {
			f = append(f, s)
		}
	}
	if len(f) == 1 {
		return f[0]
	}
	return f
}

func (f fanout) Start(tracks []media.Track, fresh bool) {
	for _, s := range f {
		s.Start(tracks, fresh)
	}
}

func (f fanout) Write(u media.Unit) {
	for _, s := range f {
		s.Write(u)
	}
}

func (f fanout) Stop(cause media.Cause) {
	for _, s := range f {
		s.Stop(cause)
	}
}

package pagetest

import (
	"fmt"
	"io"
	"net/http"
	"sync"
)

// Worker stands in for camera north's worker. Behind the server under test it
// answers:
//
//	/live/gate/north/index.m3u8   a playlist that tells the request's URI
//	/live/gate/north/slow.mp4     "first", and "second" only after Release
//	anything else                 404
type Worker struct {
	release chan struct{}

	mu   sync.Mutex
	last http.Header
}

// NewWorker makes a Worker.
func NewWorker() *Worker { return &Worker{release: make(chan struct{})} }

const livePrefix = "/live/" + Site + "/" + North + "/"

func (w *Worker) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.last = r.Header.Clone()
	w.mu.Unlock()
	rw.Header().Set("Cache-Control", "no-store")
	switch r.URL.Path {
	case livePrefix + "index.m3u8":
		rw.Header().Set("Content-Type", playlistType)
		fmt.Fprintf(rw, "#EXTM3U\n# %s\n", r.RequestURI)
	case livePrefix + "slow.mp4":
		rw.Header().Set("Content-Type", "video/mp4")
		w.slow(rw, r)
	default:
		http.NotFound(rw, r)
	}
}

func (w *Worker) slow(rw http.ResponseWriter, r *http.Request) {
	io.WriteString(rw, "first") //nolint:errcheck // the test notices
	http.NewResponseController(rw).Flush()
	select {
	case <-w.release:
		io.WriteString(rw, "second") //nolint:errcheck // the test notices
	case <-r.Context().Done():
	}
}

// header is what the last request carried.
func (w *Worker) header() http.Header {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

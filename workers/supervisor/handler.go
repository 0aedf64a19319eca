package supervisor

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Handler serves GET /live/<site>/<camera>/… and /healthz.
func (s *Supervisor) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/live/{site}/{camera}/{file}", s.serveLive)
	mux.HandleFunc("GET /healthz", s.serveHealth)
	return mux
}

func (s *Supervisor) serveLive(w http.ResponseWriter, r *http.Request) {
	view := s.view(Key{r.PathValue("site"), r.PathValue("camera")})
	if view == nil {
		http.Error(w, "no such camera here", http.StatusNotFound)
		return
	}
	view.ServeHTTP(w, r)
}

// serveHealth answers 503 when work is not done that could be: a camera that
// is recorded and whose playlist is too old although it sends. A camera that is
// away is no reason to restart the worker.
func (s *Supervisor) serveHealth(w http.ResponseWriter, _ *http.Request) {
	body := struct {
		Status  string   `json:"status"`
		Cameras []Report `json:"cameras"`
	}{"ok", s.Reports()}
	status := http.StatusOK
	for _, r := range body.Cameras {
		if r.Reason != "" {
			body.Status, status = "failing", http.StatusServiceUnavailable
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client went away
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

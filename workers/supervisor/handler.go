package supervisor

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Handler serves GET /live/<site>/<camera>/…, /livez, /healthz and /readyz.
func (s *Supervisor) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/live/{site}/{camera}/{file}", s.serveLive)
	mux.Handle("/", s.HealthHandler())
	return mux
}

// HealthHandler serves /livez, /healthz and /readyz alone.
func (s *Supervisor) HealthHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.serveAlive)
	mux.HandleFunc("GET /healthz", s.serveHealth)
	mux.HandleFunc("GET /readyz", s.serveReady)
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

// serveAlive answers as long as the process does, whatever its cameras and its
// disk do: to restart it would mend neither.
func (s *Supervisor) serveAlive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, "ok\n") // the client went away
}

// serveHealth answers 503 when work is not done that could be: a camera that
// is recorded and whose playlist is too old although it sends. A camera that is
// away is no reason to restart the worker.
func (s *Supervisor) serveHealth(w http.ResponseWriter, _ *http.Request) {
	reports := s.Reports()
	answer(w, reports, !slices.ContainsFunc(reports, func(r Report) bool { return r.Reason != "" }))
}

// serveReady answers 503 unless all is as it is wanted: every camera that is
// not disabled is live, and its playlist new. It is what a Pod's readiness
// asks; what is not ready may still be healthy.
func (s *Supervisor) serveReady(w http.ResponseWriter, _ *http.Request) {
	reports := s.Reports()
	answer(w, reports, len(reports) > 0 && !slices.ContainsFunc(reports, func(r Report) bool { return !r.ready() }))
}

func answer(w http.ResponseWriter, reports []Report, ok bool) {
	body := struct {
		Status  string   `json:"status"`
		Cameras []Report `json:"cameras"`
	}{"ok", reports}
	status := http.StatusOK
	if !ok {
		body.Status, status = "failing", http.StatusServiceUnavailable
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

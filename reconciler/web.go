package reconciler

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"camfleet.dev/reconciler/status"
)

// ClusterOptions are of ClusterHandler.
type ClusterOptions struct {
	// Hook answers POST /hook; nil if there is none.
	Hook http.Handler
	// Standby tells whether another replica leads, and what that one says of
	// itself; nil if there is only this one.
	Standby func() (status.Status, bool)
	// Collectors are further metrics, beside the loop's own: those of a
	// hook.Handler and of a notify.Notifier, for example.
	Collectors []prometheus.Collector
}

// aliveWithin is how long the loop may take to answer.
const aliveWithin = 5 * time.Second

// ClusterHandler is all that a reconciler in a cluster answers: the API,
// /metrics, /healthz, /readyz and /hook. A call can ask, and make it look at
// its source; nothing can be changed through it.
func (r *Reconciler) ClusterHandler(o ClusterOptions) http.Handler {
	r.prepare()
	mux := http.NewServeMux()
	mux.Handle(apiPrefix, api(func(*http.Request) status.Status {
		s, _ := r.statusOf(o)
		return s
	}))
	mux.Handle("/metrics", reading(r.metricsHandler(o)))
	mux.Handle("/healthz", reading(http.HandlerFunc(r.healthz)))
	mux.Handle("/readyz", reading(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { r.readyz(w, o) })))
	if o.Hook != nil {
		mux.Handle("/hook", promhttp.InstrumentHandlerCounter(r.metrics.hooks, o.Hook))
	}
	return secured(mux)
}

// statusOf is the status of whoever leads, and whether that is another replica.
func (r *Reconciler) statusOf(o ClusterOptions) (status.Status, bool) {
	if o.Standby != nil {
		if s, standby := o.Standby(); standby {
			return s, true
		}
	}
	return r.Status(), false
}

func (r *Reconciler) metricsHandler(o ClusterOptions) http.Handler {
	reg := r.registry(func() (status.Status, bool) { return r.statusOf(o) })
	reg.MustRegister(o.Collectors...)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(r.Log.Handler(), slog.LevelDebug)})
}

// healthz is 503 when the loop does not answer: a restart may help.
func (r *Reconciler) healthz(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), aliveWithin)
	defer cancel()
	if err := r.Alive(ctx); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok") // the client went away
}

// readyz is 503 until a commit was compared with the cluster once, or another
// replica leads. What fails later is in the status, and no reason to hide it.
func (r *Reconciler) readyz(w http.ResponseWriter, o ClusterOptions) {
	s, standby := r.statusOf(o)
	if !standby && s.Commit == "" && s.Suspended == nil {
		http.Error(w, "no commit was applied yet", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok") // the client went away
}

// reading refuses what is no reading.
func reading(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD: nothing can be changed here", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// secured sets what every answer carries: no browser shall make anything of it.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, req)
	})
}

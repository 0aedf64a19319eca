package reconciler

import (
	"context"
	"net/http"
	"time"

	"camfleet.dev/reconciler/status"
)

// ClusterOptions are of ClusterHandler.
type ClusterOptions struct {
	// Hook answers POST /hook; nil if there is none.
	Hook http.Handler
	// Standby tells whether another replica leads, and what that one says of
	// itself; nil if there is only this one.
	Standby func() (status.Status, bool)
}

// aliveWithin is how long the loop may take to answer.
const aliveWithin = 5 * time.Second

// ClusterHandler is all that a reconciler in a cluster answers: the API,
// /metrics, /healthz, /readyz and /hook. Nothing can be changed through it.
func (r *Reconciler) ClusterHandler(o ClusterOptions) http.Handler {
	r.prepare()
	mux := http.NewServeMux()
	mux.Handle("/api/", r.Handler())
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), aliveWithin)
		defer cancel()
		if err := r.Alive(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})
	if o.Hook != nil {
		mux.Handle("/hook", o.Hook)
	}
	return mux
}

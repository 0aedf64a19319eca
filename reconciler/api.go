package reconciler

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"camfleet.dev/reconciler/status"
)

// Paths of the API. openapi.json describes those of Handler.
const (
	apiPrefix       = "/api/"
	statusPath      = "/api/v1/status"
	openAPIPath     = "/api/v1/openapi.json"
	approvePath     = "/api/v1/approve/"
	suspendPath     = "/api/v1/suspend"
	resumePath      = "/api/v1/resume"
	reasonParameter = "reason"
)

//go:embed openapi.json
var openAPI []byte

// views are what the API shows of a status, by path.
func views() map[string]func(status.Status) any {
	return map[string]func(status.Status) any{
		statusPath:         func(s status.Status) any { return s },
		"/api/v1/cameras":  func(s status.Status) any { return status.CamerasOf(s) },
		"/api/v1/sites":    func(s status.Status) any { return status.SitesOf(s) },
		"/api/v1/nodes":    func(s status.Status) any { return status.NodesOf(s) },
		"/api/v1/changes":  func(s status.Status) any { return status.ChangesOf(s) },
		"/api/v1/problems": func(s status.Status) any { return status.ProblemsOf(s) },
	}
}

// Handler answers GET /api/v1/…, of this reconciler, on the machine that runs
// the cameras: the URLs of playlists are on the server that was asked.
func (r *Reconciler) Handler() http.Handler {
	return api(func(req *http.Request) status.Status {
		scheme := "http"
		if req.TLS != nil {
			scheme = "https"
		}
		return r.statusAt(url.URL{Scheme: scheme, Host: req.Host})
	})
}

// api shows a status.
func api(of func(*http.Request) status.Status) http.Handler {
	views := views()
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		view := views[req.URL.Path]
		switch {
		case view == nil && req.URL.Path != openAPIPath:
			reply(w, http.StatusNotFound, answer{Error: "there is nothing here: " + openAPIPath + " says what there is"})
		case req.Method != http.MethodGet && req.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			reply(w, http.StatusMethodNotAllowed, answer{Error: "only GET and HEAD: nothing can be changed here"})
		case view == nil:
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(openAPI) // the client went away
		default:
			reply(w, http.StatusOK, view(of(req)))
		}
	})
}

// ControlHandler also takes orders: approve, suspend, resume. It is for the
// owner's socket only. page is the address of the page's server.
func (r *Reconciler) ControlHandler(page url.URL) http.Handler {
	r.prepare()
	mux := http.NewServeMux()
	mux.Handle("/", api(func(*http.Request) status.Status { return r.statusAt(page) }))
	mux.HandleFunc("POST "+approvePath+"{commit}", func(w http.ResponseWriter, req *http.Request) {
		n, err := r.Approve(req.PathValue("commit"))
		obeyed(w, answer{Approved: n}, err)
	})
	mux.HandleFunc("POST "+suspendPath, func(w http.ResponseWriter, req *http.Request) {
		obeyed(w, answer{}, r.Suspend(req.URL.Query().Get(reasonParameter)))
	})
	mux.HandleFunc("POST "+resumePath, func(w http.ResponseWriter, _ *http.Request) {
		obeyed(w, answer{}, r.Resume())
	})
	return mux
}

// obeyed answers an order.
func obeyed(w http.ResponseWriter, a answer, err error) {
	switch {
	case errors.Is(err, ErrNotNewest), errors.Is(err, ErrNothingHeld):
		reply(w, http.StatusConflict, answer{Error: err.Error()})
	case err != nil:
		reply(w, http.StatusInternalServerError, answer{Error: err.Error()})
	default:
		reply(w, http.StatusOK, a)
	}
}

type answer struct {
	Approved int    `json:"approved,omitempty"` // changes
	Error    string `json:"error,omitempty"`
}

// statusAt is the status with its URLs on a server.
func (r *Reconciler) statusAt(server url.URL) status.Status {
	s := r.Status()
	for i := range s.Cameras {
		c := &s.Cameras[i]
		for _, u := range []*string{&c.Live, &c.LowLatency} {
			if *u != "" {
				*u = server.JoinPath(*u).String()
			}
		}
	}
	return s
}

func reply(w http.ResponseWriter, code int, body any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", "  ")
	if err := enc.Encode(body); err != nil {
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(buf.Bytes()) // the client went away
}

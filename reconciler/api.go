package reconciler

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"camfleet.dev/reconciler/status"
)

// Paths of the API.
const (
	statusPath  = "/api/v1/status"
	approvePath = "/api/v1/approve/"
)

// Handler answers GET /api/v1/status. Playlist URLs are on the server that was asked.
func (r *Reconciler) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, req *http.Request) {
		scheme := "http"
		if req.TLS != nil {
			scheme = "https"
		}
		reply(w, http.StatusOK, r.statusAt(url.URL{Scheme: scheme, Host: req.Host}))
	})
	return mux
}

// ControlHandler also takes orders: POST /api/v1/approve/COMMIT. It is for the
// owner's socket only. page is the address of the page's server.
func (r *Reconciler) ControlHandler(page url.URL) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, r.statusAt(page))
	})
	mux.HandleFunc("POST "+approvePath+"{commit}", func(w http.ResponseWriter, req *http.Request) {
		n, err := r.Approve(req.PathValue("commit"))
		switch {
		case errors.Is(err, ErrNotNewest), errors.Is(err, ErrNothingHeld):
			reply(w, http.StatusConflict, answer{Error: err.Error()})
		case err != nil:
			reply(w, http.StatusInternalServerError, answer{Error: err.Error()})
		default:
			reply(w, http.StatusOK, answer{Approved: n})
		}
	})
	return mux
}

type answer struct {
	Approved int    `json:"approved,omitempty"` // deletions
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

// Client gives orders to a reconciler that runs.
type Client struct {
	// Dial connects to its socket.
	Dial func(ctx context.Context) (net.Conn, error)
}

// Status asks how things are.
func (c Client) Status(ctx context.Context) (status.Status, error) {
	var s status.Status
	err := c.call(ctx, http.MethodGet, statusPath, &s)
	return s, err
}

// Approve approves a commit's held deletions, and returns how many there are.
func (c Client) Approve(ctx context.Context, commit string) (int, error) {
	var a answer
	err := c.call(ctx, http.MethodPost, approvePath+url.PathEscape(commit), &a)
	return a.Approved, err
}

const (
	callTimeout = 10 * time.Second
	maxAnswer   = 64 << 20
)

func (c Client) call(ctx context.Context, method, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return c.Dial(ctx) },
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://camfleet"+path, nil)
	if err != nil {
		return fmt.Errorf("asking camfleet: %w", err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	var address *url.Error
	if errors.As(err, &address) {
		err = address.Err // its own words, not the socket's made-up URL
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading camfleet's answer: %w", err)
	}
	var a answer
	if resp.StatusCode != http.StatusOK {
		if json.Unmarshal(body, &a) == nil && a.Error != "" {
			return errors.New(a.Error)
		}
		return fmt.Errorf("camfleet answered %s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("reading camfleet's answer: %w", err)
	}
	return nil
}

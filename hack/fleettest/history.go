package fleettest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// History is what happens to the camera Pods of a site, told by a watch: a Pod
// that was there for a moment only is in it, too.
type History struct {
	w    *World
	path string // of the Pods

	mu     sync.Mutex
	pods   map[string]map[string]bool // UIDs since the last Begin, by camera
	before map[string]bool            // UIDs that are older
	late   map[string]bool            // UIDs of Pods that have been let go
	paced  []string                   // cameras that are to be replaced in turn
	away   map[string]bool            // those of them whose Pod ends, or is not ready yet
	worst  []string                   // the most that were away at once
}

// holds is what keeps a Pod that is to end late.
const holds = "test.camfleet.dev/ends-late"

// late is how long such a Pod ends.
const late = 500 * time.Millisecond

// History begins to watch a site.
func (w *World) History(site string) *History {
	w.Helper()
	h := &History{w: w, path: "/api/v1/namespaces/camfleet-" + site + "/pods", before: map[string]bool{}, late: map[string]bool{}}
	h.Begin(nil)
	for _, p := range w.Pods() {
		h.before[p.Metadata.UID] = true
	}
	resp, err := w.request(http.MethodGet, h.path+"?watch=1&labelSelector=camfleet.dev%2Frole%3Dcamera", "", "")
	if err != nil || resp.StatusCode != http.StatusOK {
		w.Fatalf("watching Pods: %v, %v", resp, err)
	}
	w.Cleanup(func() { resp.Body.Close() })
	go func() {
		for events := json.NewDecoder(resp.Body); ; {
			var e struct {
				Type   string
				Object Object
			}
			if err := events.Decode(&e); err != nil {
				if w.Context().Err() == nil {
					w.Errorf("the watch of the test has ended: %v", err)
				}
				return
			}
			h.take(e.Type, e.Object)
		}
	}()
	return h
}

// Begin forgets, and counts from now on. Cameras that are paced are to be away one
// at a time; Pods that end late do when they are asked to.
func (h *History) Begin(paced []string, endLate ...string) {
	h.mu.Lock()
	h.paced = paced
	for _, uids := range h.pods {
		for uid := range uids {
			h.before[uid] = true
		}
	}
	h.pods, h.away, h.worst = map[string]map[string]bool{}, map[string]bool{}, nil
	h.mu.Unlock()
	for _, name := range endLate {
		h.w.mustPatch(h.path+"/"+name, `{"metadata":{"finalizers":["`+holds+`"]}}`)
	}
}

func (h *History) take(event string, o Object) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := o.Metadata.Name
	if h.pods[name] == nil {
		h.pods[name] = map[string]bool{}
	}
	h.pods[name][o.Metadata.UID] = true
	ending := event == "DELETED" || o.Metadata.DeletionTimestamp != ""
	if ending && slices.Contains(o.Metadata.Finalizers, holds) && !h.late[o.Metadata.UID] {
		h.late[o.Metadata.UID] = true
		time.AfterFunc(late, func() { h.w.mustPatch(h.path+"/"+name, `{"metadata":{"finalizers":null}}`) })
	}
	if !slices.Contains(h.paced, name) {
		return
	}
	h.away[name] = ending || !o.Ready()
	var all []string
	for name, away := range h.away {
		if away {
			all = append(all, name)
		}
	}
	if len(all) > len(h.worst) {
		h.worst = all
	}
}

// Worst are the most paced cameras that were away at once.
func (h *History) Worst() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.worst
}

// New are how many Pods each camera has got since Begin.
func (h *History) New() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]int{}
	for name, uids := range h.pods {
		for uid := range uids {
			if !h.before[uid] {
				out[name]++
			}
		}
	}
	return out
}

// request asks the API server as the administrator. Path may have a query.
func (w *World) request(method, path, kind, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(w.Context(), method, w.API.Host+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+w.API.AdminToken)
	req.Header.Set("Content-Type", kind)
	return w.client().Do(req)
}

// client trusts the API server, and keeps its connection.
func (w *World) client() *http.Client {
	if w.admin == nil {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(w.API.CA)
		w.admin = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	}
	return w.admin
}

// mustPatch merges a change into an object.
func (w *World) mustPatch(path, body string) {
	resp, err := w.request(http.MethodPatch, path, "application/merge-patch+json", body)
	if err == nil {
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			text, _ := io.ReadAll(resp.Body)
			err = fmt.Errorf("%s: %s", resp.Status, text)
		}
	}
	if err != nil && w.Context().Err() == nil {
		w.Errorf("PATCH %s: %v", path, err)
	}
}

package fleettest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// Proxy stands between a reconciler and its API server. It counts what is asked,
// and can interfere with it.
type Proxy struct {
	Kubeconfig string // of the proxy, as whom the world's reconciler is

	mu       sync.Mutex
	requests []Request
	each     func(r Request, answered bool) (lost bool)
}

// Request is one request to the API server.
type Request struct{ Method, Path, Query string }

func request(r *http.Request) Request { return Request{r.Method, r.URL.Path, r.URL.RawQuery} }

// String is how a request is shown.
func (r Request) String() string { return r.Method + " " + r.Path }

// Call is what is asked of which object: "PATCH pods camera-c0". What has no name
// yet is the namespace's.
func (r Request) Call() string {
	_, path, found := strings.Cut(r.Path, "/namespaces/")
	parts := strings.Split(path, "/")
	if !found || len(parts) < 2 {
		return r.Method + " " + r.Path
	}
	if parts = parts[1:]; len(parts) == 1 {
		return r.Method + " " + parts[0]
	}
	return r.Method + " " + strings.Join(parts, " ")
}

// Watch tells whether it is an informer's: a list of a whole kind, or a watch.
func (r Request) Watch() bool {
	return r.Method == http.MethodGet && (strings.Contains(r.Query, "labelSelector=") || strings.Contains(r.Query, "watch=") ||
		strings.Contains(r.Query, "resourceVersion=") || strings.Contains(r.Query, "fieldSelector="))
}

// Effect tells whether it changes an object of the fleet: not a lease, an event,
// or what a reconciler reports of itself.
func (r Request) Effect() bool {
	return r.Method != http.MethodGet && !strings.Contains(r.Path, "/events") && !strings.Contains(r.Path, "/leases") &&
		!strings.Contains(r.Path, "/namespaces/camfleet-system/")
}

// Write tells whether it changes anything at all, or tries to.
func (r Request) Write() bool { return r.Method != http.MethodGet }

// Lease tells whether it is about who leads.
func (r Request) Lease() bool { return strings.Contains(r.Path, "/leases") }

// Each sets what is told of every request that writes, until the next Reset:
// before it is handed on, and once it was answered, before the reconciler knows.
// What is lost then is not handed on, and not answered.
func (p *Proxy) Each(f func(r Request, answered bool) (lost bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.each = f
}

// lost asks Each.
func (p *Proxy) lost(r Request, answered bool) bool {
	p.mu.Lock()
	each := p.each
	p.mu.Unlock()
	return each != nil && r.Write() && each(r, answered)
}

var errLost = errors.New("lost by the test")

// NewProxy starts a proxy before the world's API server.
func (w *World) NewProxy() *Proxy {
	w.Helper()
	token, err := tokenOf(w.Kubeconfig)
	if err != nil {
		w.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.API.CA)
	server, err := url.Parse(w.API.Host)
	if err != nil {
		w.Fatal(err)
	}
	p := &Proxy{}
	forward := httputil.NewSingleHostReverseProxy(server)
	forward.FlushInterval = -1 // watches
	forward.ModifyResponse = func(resp *http.Response) error {
		if p.lost(request(resp.Request), true) {
			return errLost
		}
		return nil
	}
	forward.ErrorHandler = func(_ http.ResponseWriter, _ *http.Request, err error) {
		panic(http.ErrAbortHandler) // no answer at all
	}
	forward.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	s := httptest.NewUnstartedServer(p.handler(forward))
	s.EnableHTTP2 = true
	s.StartTLS()
	w.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	p.Kubeconfig = filepath.Join(w.TempDir(), "kubeconfig")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := writeKubeconfig(p.Kubeconfig, s.URL, token, ca); err != nil {
		w.Fatal(err)
	}
	return p
}

func (p *Proxy) handler(forward http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r := request(req)
		p.count(r)
		if p.lost(r, false) {
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, req)
	})
}

func (p *Proxy) count(r Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, r)
}

// Requests are all requests since the last Reset.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Request(nil), p.requests...)
}

// Reset forgets the requests; from now on nothing interferes.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests, p.each = nil, nil
}

// tokenOf reads the bearer token of a kubeconfig that cptest has written.
func tokenOf(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var config struct {
		Users []struct{ User struct{ Token string } }
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return "", err
	}
	return config.Users[0].User.Token, nil
}

func writeKubeconfig(path, server, token string, ca []byte) error {
	type named map[string]any
	text, err := json.Marshal(named{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []named{{"name": "test", "cluster": named{"server": server, "certificate-authority-data": ca}}},
		"users":    []named{{"name": "test", "user": named{"token": token}}},
		"contexts": []named{{"name": "test", "context": named{"cluster": "test", "user": "test"}}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

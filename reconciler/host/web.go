package host

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"

	"camfleet.dev/compiler/page"
)

// WebOptions are of the web server.
type WebOptions struct {
	// API answers below /api/, for GET only.
	API http.Handler
	// Hosts are the names by which the server may be called, besides
	// addresses, localhost and this machine's name.
	Hosts []string
	// Metrics are shown beside the host's own and its workers'; may be nil.
	Metrics prometheus.Gatherer
}

// Handler serves the page on the URLs that nginx has in a cluster, and the
// API and metrics beside it. It answers GET and HEAD only: nothing can be
// changed through it.
func (h *Host) Handler(o WebOptions) (http.Handler, error) {
	assets, err := loadAssets(page.Assets())
	if err != nil {
		return nil, err
	}
	w := &web{host: h, api: o.API, assets: assets, metrics: h.metrics(o.Metrics), proxy: h.proxy(), doors: newDoors(h.options.Secrets, h.log)}
	return secured(ownNames(o.Hosts, w)), nil
}

type web struct {
	host    *Host
	api     http.Handler
	assets  map[string]asset
	metrics http.Handler
	proxy   http.Handler
	doors   *doors
}

func (w *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		rw.Header().Set("Allow", "GET, HEAD")
		http.Error(rw, "only GET and HEAD: nothing can be changed here", http.StatusMethodNotAllowed)
		return
	}
	switch {
	case r.URL.Path == "/healthz":
		w.health(rw)
	case r.URL.Path == "/metrics":
		w.metrics.ServeHTTP(rw, r)
	case strings.HasPrefix(r.URL.Path, "/api/") && w.api != nil:
		w.api.ServeHTTP(rw, r)
	default:
		w.route(rw, r)
	}
}

func (w *web) route(rw http.ResponseWriter, r *http.Request) {
	route := page.Find(r.URL.Path)
	v := w.host.view()
	if route.Kind == page.Missing {
		notFound(rw)
		return
	}
	if !w.admit(rw, r, v, route) {
		return
	}
	switch route.Kind {
	case page.Front, page.File:
		a, ok := w.assets[route.Name]
		if route.Name == page.Data {
			a, ok = newAsset(page.Data, w.fleetOf(r, v)), true
		}
		if !ok {
			notFound(rw)
			return
		}
		a.serve(rw, r)
	case page.Recording, page.State:
		w.host.serveArchive(rw, r, route)
	default:
		w.proxy.ServeHTTP(rw, r)
	}
}

func notFound(rw http.ResponseWriter) { http.Error(rw, "there is nothing here", http.StatusNotFound) }

// health is 503 as long as a worker does not run that should.
func (w *web) health(rw http.ResponseWriter) {
	for _, s := range w.host.workers.status() {
		if s.pid == 0 {
			http.Error(rw, "worker "+s.shard+" is being started again", http.StatusServiceUnavailable)
			return
		}
	}
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(rw, "ok") // the client went away
}

// secured sets what every answer carries.
func secured(next http.Handler) http.Handler {
	security := page.Security()
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for name, values := range security {
			rw.Header()[name] = values
		}
		rw.Header().Set("Cache-Control", page.NoCache)
		next.ServeHTTP(rw, r)
	})
}

// asset is a file of the page, plain and compressed.
type asset struct {
	kind, etag    string
	plain, packed []byte
}

func newAsset(name string, content []byte) asset {
	sum := sha256.Sum256(content)
	return asset{kind: mediaType(name), etag: hex.EncodeToString(sum[:8]), plain: content}
}

func loadAssets(fsys fs.FS) (map[string]asset, error) {
	out := map[string]asset{}
	files, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("reading the page's files: %w", err)
	}
	for _, f := range files {
		content, err := fs.ReadFile(fsys, f.Name())
		if err != nil {
			return nil, fmt.Errorf("reading the page's files: %w", err)
		}
		a := newAsset(f.Name(), content)
		var packed bytes.Buffer
		zw := gzip.NewWriter(&packed)
		_, err = zw.Write(content)
		if err := errors.Join(err, zw.Close()); err != nil {
			return nil, fmt.Errorf("compressing the page's files: %w", err)
		}
		a.packed = packed.Bytes()
		out[f.Name()] = a
	}
	return out, nil
}

func (a asset) serve(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", a.kind)
	rw.Header().Set("Vary", "Accept-Encoding")
	content, etag := a.plain, a.etag
	if a.packed != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && r.Header.Get("Range") == "" {
		content, etag = a.packed, a.etag+"-gz"
		rw.Header().Set("Content-Encoding", "gzip")
	}
	rw.Header().Set("ETag", `"`+etag+`"`)
	http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(content))
}

// mediaType is that of nginx.conf. The machine's own tables have no say.
func mediaType(name string) string {
	ext := path.Ext(name)
	kind := page.Types()[ext]
	if kind == "" {
		kind = map[string]string{
			".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".txt": "text/plain",
			".svg": "image/svg+xml", ".png": "image/png", ".ico": "image/x-icon", ".woff2": "font/woff2",
		}[ext]
	}
	switch {
	case kind == "":
		return "application/octet-stream"
	case strings.HasPrefix(kind, "text/") || ext == ".json" || ext == ".m3u8":
		return mime.FormatMediaType(kind, map[string]string{"charset": "utf-8"})
	}
	return kind
}

// Limits of the web server.
const (
	maxConnections = 512
	maxHeader      = 16 << 10
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	// writeTimeout holds a blocked playlist and a slow reader; serveArchive extends it for big files.
	writeTimeout = 60 * time.Second
	serverGrace  = 2 * time.Second
)

// Serve serves handler on ln until ctx ends, and then ends within a moment:
// players that stay connected are cut off.
func Serve(ctx context.Context, ln net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(netutil.LimitListener(ln, maxConnections)) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), serverGrace)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		_ = server.Close() // whoever still reads is cut off
	}
	<-served
	return nil
}

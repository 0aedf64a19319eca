package host

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"strings"
	"time"

	"camfleet.dev/compiler/page"
)

const socketSuffix = ".sock"

// toWorkers is how workers are asked: the host of a URL is a shard.
func (h *Host) toWorkers() *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			shard, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, fmt.Errorf("calling a worker: %w", err)
			}
			return h.sockets.dial(ctx, shard+socketSuffix)
		},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true,
	}
}

// proxy hands live requests on to the camera's worker, as they are and
// unbuffered. What a viewer shows us is not for the worker.
func (h *Host) proxy() http.Handler {
	security := page.Security()
	forward := &httputil.ReverseProxy{
		Transport:     h.toWorkers(),
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(h.log.Handler(), slog.LevelDebug),
		Rewrite: func(r *httputil.ProxyRequest) {
			route := page.Find(r.In.URL.Path)
			r.Out.URL.Scheme, r.Out.URL.Host = "http", shardOf(key{route.Site, route.Camera}, h.options.Shards)
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			r.Out.Header.Del("Authorization")
			r.Out.Header.Del("Cookie")
		},
		ModifyResponse: func(r *http.Response) error {
			for name := range security {
				r.Header.Del(name) // ours are set already
			}
			return nil
		},
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, err error) {
			h.log.Debug("a worker did not answer", "error", err)
			rw.Header().Set("Cache-Control", page.NoCache)
			http.Error(rw, "the camera's worker does not answer; it is being started again", http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		route := page.Find(r.URL.Path)
		if _, ok := h.view().cameras[key{route.Site, route.Camera}]; !ok {
			notFound(rw)
			return
		}
		rw.Header().Del("Cache-Control") // the worker's own decides
		forward.ServeHTTP(rw, r)
	})
}

// hostName is the name or address in a Host header, without the port.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

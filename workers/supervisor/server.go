package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

const (
	// maxConnections bounds the open connections of one server; more wait to be accepted.
	maxConnections = 1024
	// writeTimeout holds a blocking playlist request and the slow reading of
	// a segment after it.
	writeTimeout = 60 * time.Second
	unixPrefix   = "unix:"
)

// Listen listens on host:port or unix:/path. A socket that a killed worker
// left behind is replaced; one that answers is not. A socket is for its owner only.
func Listen(addr string) (net.Listener, error) {
	path, isUnix := strings.CutPrefix(addr, unixPrefix)
	if !isUnix {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("listening: %w; want host:port or unix:/path", err)
		}
		return netutil.LimitListener(ln, maxConnections), nil
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("listening: %w", err), ln.Close())
	}
	return netutil.LimitListener(ln, maxConnections), nil
}

// removeStale removes a socket that nobody listens on any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listening on %s: there is something that is not a socket; remove it, or choose another path", path)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		return errors.Join(fmt.Errorf("listening on %s: another process does already", path), conn.Close())
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the socket that was left behind: %w", err)
	}
	return nil
}

// Serve serves h on ln until ctx is done, then ends within grace.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, grace time.Duration, log *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		_ = server.Close() // those who read slowly are cut off
	}
	<-served
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"camfleet.dev/schema"
	"camfleet.dev/workers/live"
	"camfleet.dev/workers/metrics"
	"camfleet.dev/workers/supervisor"
)

const (
	// finishGrace is for finishing segments; Kubernetes gives 30 s in all.
	finishGrace = 15 * time.Second
	serverGrace = 3 * time.Second
)

// rtsp2hlsCommand is the command that records cameras and shows them live.
type rtsp2hlsCommand struct {
	log               logFlags
	config            string
	archive, secrets  supervisor.Template
	listen, metricsAt string
	liveDir           string
	rescan, liveIdle  time.Duration
}

func newRTSP2HLS() *cobra.Command {
	c := &rtsp2hlsCommand{}
	cmd := &cobra.Command{
		Use:   "rtsp2hls --config DIR --archive TEMPLATE",
		Short: "Record the cameras of a configuration folder and show them live",
		Long: `Record the cameras of a configuration folder and show them live.

DIR holds one *.json per camera and is followed: a camera that is added,
changed or removed starts, changes or ends alone. In a TEMPLATE, {site},
{camera} and {secret} are replaced by names.
` + exitHelp,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.validate(); err != nil {
				return usageError{err}
			}
			return c.run(cmd.Context(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.config, "config", "", "folder with one *.json per camera")
	f.StringVar((*string)(&c.archive), "archive", "", "a camera's archive folder: a path with {site} and {camera}")
	f.StringVar((*string)(&c.secrets), "secrets", "", "the folder of a camera's username and password files: a path with {site}, {camera} and {secret}")
	f.StringVar(&c.listen, "listen", "127.0.0.1:8080", "where /live and /healthz are served: host:port or unix:/path")
	f.StringVar(&c.metricsAt, "metrics", "", "where /metrics is served (default: as --listen)")
	f.StringVar(&c.liveDir, "live-dir", "", "folder for live segments, emptied at start (default: kept in memory, some MB per watched camera)")
	f.DurationVar(&c.liveIdle, "live-idle", live.DefaultIdle, "how long a live view goes on when nobody watches")
	f.DurationVar(&c.rescan, "rescan", supervisor.DefaultRescan, "how often --config is read without a notification")
	c.log.add(cmd)
	return cmd
}

func (c *rtsp2hlsCommand) validate() error {
	if c.config == "" {
		return errors.New("--config is missing: the folder with one *.json per camera")
	}
	if err := c.archive.Check("site", "camera"); err != nil {
		return fmt.Errorf("--archive: %w", err)
	}
	if c.secrets != "" {
		if err := c.secrets.Check("site", "camera", "secret"); err != nil {
			return fmt.Errorf("--secrets: %w", err)
		}
	}
	if c.rescan <= 0 || c.liveIdle <= 0 {
		return errors.New("--rescan and --live-idle want a time above zero, such as 15s")
	}
	return nil
}

// run starts, in this order: what can be refused (log, folders, ports), then
// the cameras, then who may ask for them. It ends the other way round.
func (c *rtsp2hlsCommand) run(ctx context.Context, stderr io.Writer) error {
	tuneMemory()
	log, err := c.log.logger(stderr)
	if err != nil {
		return err
	}
	if err := prepareLiveDir(c.liveDir); err != nil {
		return err
	}
	servers, err := c.servers()
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	set, err := metrics.New(registry, nil)
	if err != nil {
		return errors.Join(err, closeAll(servers))
	}
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "camfleet_camera_failures_total", Help: "Times that the camera's work ended by itself and was started again.",
	}, []string{"site", "camera"})
	registry.MustRegister(failures)
	sup := c.supervisor(log, set, failures)
	return c.serve(ctx, log, sup, servers, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
}

// serve runs until ctx is done or something fails.
func (c *rtsp2hlsCommand) serve(ctx context.Context, log *slog.Logger, sup *supervisor.Supervisor, servers []net.Listener, metricsHandler http.Handler) error {
	mux := http.NewServeMux()
	mux.Handle("/", sup.Handler())
	if len(servers) == 1 {
		mux.Handle("GET /metrics", metricsHandler)
	}
	handlers := []http.Handler{mux, onlyMetrics(metricsHandler, sup.HealthHandler())}

	// The HTTP servers end last, so that /healthz answers while cameras finish.
	serveCtx, stopServers := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServers()
	var serving errgroup.Group
	g, gctx := errgroup.WithContext(ctx)
	for i, ln := range servers {
		log.Info("serving", "address", ln.Addr().String())
		failed := make(chan error, 1)
		serving.Go(func() error {
			err := supervisor.Serve(serveCtx, ln, handlers[i], serverGrace, log)
			failed <- err
			return err
		})
		g.Go(func() error {
			select {
			case err := <-failed:
				return err
			case <-gctx.Done():
				return nil
			}
		})
	}
	folder := &supervisor.Folder{Dir: c.config, Log: log, Rescan: c.rescan, Set: sup.Set}
	g.Go(func() error { return folder.Follow(gctx) })
	err := g.Wait()

	log.Info("ending")
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishGrace)
	defer cancel()
	unfinished := sup.Close(finish)
	stopServers()
	_ = serving.Wait() // an error of it is in err already
	switch {
	case err != nil:
		return errors.Join(err, unfinished)
	case unfinished != nil:
		return uncleanError{unfinished}
	}
	log.Info("ended")
	return nil
}

// onlyMetrics has no video: what looks after many workers may reach it.
func onlyMetrics(metrics, health http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.Handle("/", health)
	return mux
}

// servers listens on --listen and, when it is another address, on --metrics.
func (c *rtsp2hlsCommand) servers() ([]net.Listener, error) {
	addrs := []string{c.listen}
	if c.metricsAt != "" && c.metricsAt != c.listen {
		addrs = append(addrs, c.metricsAt)
	}
	var servers []net.Listener
	for _, addr := range addrs {
		ln, err := supervisor.Listen(addr)
		if err != nil {
			return nil, errors.Join(err, closeAll(servers))
		}
		servers = append(servers, ln)
	}
	return servers, nil
}

func closeAll(servers []net.Listener) error {
	var errs []error
	for _, ln := range servers {
		errs = append(errs, ln.Close())
	}
	return errors.Join(errs...)
}

// supervisor wires a camera: its live view, its metrics, its folders.
func (c *rtsp2hlsCommand) supervisor(log *slog.Logger, set *metrics.Set, failures *prometheus.CounterVec) *supervisor.Supervisor {
	return supervisor.New(supervisor.Options{
		Log: log,
		View: func(_ supervisor.Key, log *slog.Logger) supervisor.View {
			return live.New(live.Options{Log: log, Dir: c.liveDir, Idle: c.liveIdle})
		},
		Camera: func(cfg schema.WorkerCamera, view supervisor.View, log *slog.Logger) (supervisor.Camera, error) {
			return c.camera(cfg, view, set, log)
		},
		Failed: func(key supervisor.Key) { failures.WithLabelValues(key.Site, key.Camera).Inc() },
		Gone: func(key supervisor.Key) {
			set.Remove(key.Site, key.Camera)
			failures.DeleteLabelValues(key.Site, key.Camera)
		},
	})
}

// prepareLiveDir makes the folder of live segments, or removes what a killed worker left in it.
func prepareLiveDir(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("--live-dir: %w", err)
	}
	return live.Clean(dir)
}

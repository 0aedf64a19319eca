package main

import (
	"log/slog"

	"camfleet.dev/schema"
	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/metrics"
	"camfleet.dev/workers/rtsp2hls"
	"camfleet.dev/workers/supervisor"
)

// camera is a rtsp2hls.Camera as the supervisor wants it.
type camera struct{ *rtsp2hls.Camera }

// Health implements supervisor.Camera.
func (c camera) Health() supervisor.Health { return supervisor.Health(c.Camera.Health()) }

// camera makes one camera of its configuration and the command's folders.
func (c *rtsp2hlsCommand) camera(cfg schema.WorkerCamera, view supervisor.View, set *metrics.Set, log *slog.Logger) (supervisor.Camera, error) {
	key := supervisor.Key{Site: cfg.Site, Camera: cfg.Name}
	made, err := rtsp2hls.New(rtsp2hls.Options{
		Config:     cfg,
		ArchiveDir: archive.Dir(c.archive.Path(key, "")),
		SecretDir:  c.secretDir,
		Live:       view,
		Metrics:    set.Camera(cfg.Site, cfg.Name),
		Log:        log,
	})
	if err != nil {
		return nil, err
	}
	return camera{made}, nil
}

// secretDir is the folder of a camera's credentials, or "" when it has none.
func (c *rtsp2hlsCommand) secretDir(cfg schema.WorkerCamera) string {
	if c.secrets == "" || cfg.Credentials == "" {
		return ""
	}
	return c.secrets.Path(supervisor.Key{Site: cfg.Site, Camera: cfg.Name}, cfg.Credentials)
}

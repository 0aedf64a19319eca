package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"camfleet.dev/compiler/object"
	"camfleet.dev/schema"
	"camfleet.dev/workers/fakecam"
)

type fakecamFlags struct {
	compile compileFlags
	site    string
	listen  string
	secrets string
	any     bool
}

func (a *app) fakecamCommand() *cobra.Command {
	var flags fakecamFlags
	cmd := &cobra.Command{
		Use:   "fakecam [DIR]",
		Short: "Simulate a fleet's cameras",
		Long: `fakecam is a real RTSP server that plays the part of every camera of the fleet
in DIR (default: this folder), so that a fleet can be tried without any.

Cameras with an address on this machine are served there; with --listen, all
others too, at rtsp://ADDR/<site>/<camera>. The picture carries a frame counter
paced by the wall clock. An address may ask for a clip and for faults:

  rtsp://127.0.0.1:18554/gate/north?clip=motion&drop=0.01

Clips: quiet, motion, bframes. Faults: drop=SHARE reorder=SHARE stall halfopen
unauthorized notfound redirect=URL clip=NAME midgop noidr jump=DURATION
skew=DURATION noreports sdponly streamonly.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.fakecam(cmd.Context(), folderArg(args), flags)
		},
	}
	flags.compile.register(cmd)
	cmd.Flags().StringVar(&flags.site, "site", "", "only this site's cameras (default: all)")
	cmd.Flags().StringVar(&flags.listen, "listen", "", "host:port for cameras whose address is not on this machine")
	cmd.Flags().StringVar(&flags.secrets, "secrets", "", "folder with <site>/<secret>/{username,password} of cameras with credentials")
	cmd.Flags().BoolVar(&flags.any, "any", false, "also serve paths that no camera of the fleet has")
	return cmd
}

func (a *app) fakecam(ctx context.Context, dir string, flags fakecamFlags) error {
	res, err := a.compileDir(ctx, dir, flags.compile)
	if err != nil {
		return err
	}
	if len(res.Problems) > 0 {
		_ = printText(a.stderr, dir, res)
		return &exitError{code: exitFailed}
	}
	sources, err := sources(res, flags.site, flags.secrets)
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return usage("no camera to simulate: check --site (the fleet has %s)", siteList(res))
	}
	set, err := fakecam.NewSet(flags.listen, sources, a.logger(slog.LevelInfo, "text"))
	if err != nil {
		return err
	}
	for _, server := range set.Servers {
		server.Any = flags.any
	}
	if err := set.Start(); err != nil {
		return err
	}
	defer set.Close()
	for _, s := range sources {
		if url := set.URL(s.Site, s.Name); url != "" {
			fmt.Fprintf(a.stdout, "%s/%s\t%s\n", s.Site, s.Name, url)
		}
	}
	for _, s := range set.LeftOut {
		fmt.Fprintf(a.stdout, "%s/%s\tleft out: its address is not on this machine (--listen serves it elsewhere)\n", s.Site, s.Name)
	}
	<-ctx.Done()
	return nil
}

func siteList(res *object.Result) string {
	var names []string
	for _, s := range res.Sites {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// workerCameras reads the cameras of a compiled fleet from their camera.json.
func workerCameras(res *object.Result, site string) ([]schema.WorkerCamera, error) {
	var list []schema.WorkerCamera
	for _, o := range res.Objects {
		if o.Kind != "ConfigMap" || o.Camera == "" || site != "" && o.Site != site {
			continue
		}
		var config struct {
			Data map[string]string `json:"data"`
		}
		var camera schema.WorkerCamera
		if err := json.Unmarshal(o.Body, &config); err != nil {
			return nil, fmt.Errorf("reading %s: %w", o.ID, err)
		}
		if err := json.Unmarshal([]byte(config.Data["camera.json"]), &camera); err != nil {
			return nil, fmt.Errorf("reading %s: %w", o.ID, err)
		}
		list = append(list, camera)
	}
	return list, nil
}

// sources are a fleet's cameras with the passwords that their recorders use.
func sources(res *object.Result, site, secrets string) ([]fakecam.Source, error) {
	cameras, err := workerCameras(res, site)
	if err != nil {
		return nil, err
	}
	var list []fakecam.Source
	for _, c := range cameras {
		src := fakecam.Source{Site: c.Site, Name: c.Name, URL: c.URL}
		if err := addCredentials(&src, secrets, c.Credentials); err != nil {
			return nil, err
		}
		list = append(list, src)
	}
	return list, nil
}

// addCredentials gives a simulated camera the password that its recorder will
// use, when there is one: without it the camera is open.
func addCredentials(src *fakecam.Source, secrets, secret string) error {
	if secrets == "" || secret == "" {
		return nil
	}
	dir := filepath.Join(secrets, src.Site, secret)
	for name, to := range map[string]*string{"username": &src.Username, "password": &src.Password} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("camera %s/%s: its secret has no file %s: write one, mode 0600", src.Site, src.Name, filepath.Join(dir, name))
		} else if err != nil {
			return fmt.Errorf("reading the secret of camera %s/%s: %w", src.Site, src.Name, err)
		}
		*to = strings.TrimSpace(string(b))
	}
	return nil
}

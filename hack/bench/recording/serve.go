package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"time"

	"camfleet.dev/workers/fakecam"
)

// serve is the program's other face: the simulated cameras, in a process of
// their own, so that what they cost is not counted.
func serve(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	path := flags.String("clip", "", "file to serve")
	n := flags.Int("n", 1, "number of cameras")
	if err := flags.Parse(args); err != nil {
		return err
	}
	clip, err := fakecam.ReadClip(*path)
	if err != nil {
		return err
	}
	server := &fakecam.Server{
		Listen: "127.0.0.1:0", Clips: map[string]*fakecam.Clip{"bench": clip}, Cameras: map[string]fakecam.Camera{},
	}
	for i := range *n {
		// Real cameras are not in step: neither in their frames nor in their key frames.
		stagger := time.Duration(i) * 2 * time.Second / time.Duration(*n)
		server.Cameras[cameraPath(i)] = fakecam.Camera{Clip: "bench", Stagger: stagger}
	}
	if err := server.Start(); err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintln(out, server.Addr())
	<-ctx.Done()
	return nil
}

func cameraPath(i int) string { return fmt.Sprintf("/bench/camera-%d", i+1) }

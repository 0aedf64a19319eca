// Command cmd builds the camfleet image (package image): as a file, and into a
// registry.
//
//	go run ./hack/image/cmd --version 1.2 --output camfleet.tar --push registry.example/camfleet:1.2
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"camfleet.dev/hack/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run builds the image, and puts it where args say.
func run(ctx context.Context, args []string, out, usage io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(usage)
	var o image.Options
	flags.StringVar(&o.Version, "version", "dev", "version of the programs")
	platforms := flags.String("platforms", strings.Join(image.Platforms(), ","), "platforms")
	named := flags.String("name", "", "the image's name in --output; of --push, or camfleet:VERSION")
	output := flags.String("output", "", "write an OCI archive: ctr images import, docker load, skopeo copy oci-archive:")
	push := flags.String("push", "", "push to a registry: HOST/NAME:TAG")
	insecure := flags.Bool("insecure", false, "the registry speaks plain HTTP")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *output == "" && *push == "" {
		return errors.New("say where to put the image: --output FILE, --push HOST/NAME:TAG, or both")
	}
	o.Platforms = strings.Split(*platforms, ",")
	index, err := image.Build(ctx, o)
	if err != nil {
		return err
	}
	if err := report(out, index, o.Platforms); err != nil {
		return err
	}
	if *output != "" {
		if err := image.Write(index, first(*named, *push, "camfleet:"+o.Version), *output); err != nil {
			return err
		}
		fmt.Fprintf(out, "written to %s\n", *output)
	}
	if *push == "" {
		return nil
	}
	pushed, err := image.Push(ctx, index, *push, *insecure)
	if err == nil {
		fmt.Fprintf(out, "pushed as %s\n", pushed)
	}
	return err
}

// report prints what was built.
func report(out io.Writer, index v1.ImageIndex, platforms []string) error {
	digest, err := index.Digest()
	if err != nil {
		return fmt.Errorf("reading the index: %w", err)
	}
	fmt.Fprintf(out, "%s\n", digest)
	for _, name := range platforms {
		platform, err := v1.ParsePlatform(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		size, err := image.Size(index, *platform)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-13s %5.1f MB\n", name, float64(size)/1e6)
	}
	return nil
}

func first(names ...string) string {
	for _, n := range names {
		if n != "" {
			return n
		}
	}
	return ""
}

// Command bench prints what camfleet costs beside ffmpeg, measured in the same
// run: recording (hack/bench/recording) and day files (the benchmarks of
// workers/hls2mpeg). It judges nothing.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run measures both; args are the recording's.
func run(ctx context.Context, args []string, out io.Writer) error {
	return errors.Join(
		command(ctx, out, append([]string{"run", "./hack/bench/recording"}, args...)...),
		days(ctx, out),
	)
}

func command(ctx context.Context, out io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w", args[0], err)
	}
	return nil
}

// days runs the day files' benchmarks and puts them beside ffmpeg's.
func days(ctx context.Context, out io.Writer) error {
	fmt.Fprintln(out, "\nday files: measuring, about two minutes")
	var text bytes.Buffer
	err := command(ctx, &text, "test", "./workers/hls2mpeg", "-run", "^$", "-bench", "TenMinutes|Day24h", "-benchtime", "3x", "-timeout", "20m")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, text.String())
	}
	table, err := dayTable(text.String())
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, table)
	return err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/host"
	"camfleet.dev/reconciler/source"
)

const defaultState = "camfleet-state"

// upFlags are what up and demo share.
type upFlags struct {
	compile compileFlags
	source  source.Config
	dir     string // state folder
	secrets string // default: secrets in dir
	archive string // default: archive in dir
	listen  string
	hosts   []string
	poll    time.Duration
	worker  string
	shards  int
	log     logFlags
	banner  func(url string) // printed once the page answers
}

func (f *upFlags) registerShared(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "address of the page")
	cmd.Flags().StringSliceVar(&f.hosts, "host", nil, "names by which the page is called, besides addresses and localhost")
	cmd.Flags().DurationVar(&f.poll, "poll", f.poll, "how often the repository is asked for a new commit")
	cmd.Flags().StringVar(&f.worker, "worker", "", "the program camfleet-worker (default: beside this one, else in PATH)")
	cmd.Flags().IntVar(&f.shards, "shard", 1, "how many worker processes share the cameras")
	f.log.register(cmd)
	f.compile.register(cmd)
}

func (a *app) upCommand() *cobra.Command {
	flags := upFlags{poll: 15 * time.Second, log: logFlags{format: "text"}}
	cmd := &cobra.Command{
		Use:   "up REPOSITORY",
		Short: "Run a fleet on this machine and keep it equal to its repository",
		Long: `up follows a branch of a Git repository and runs its fleet here: cameras are
recorded, day files are made in the night, and the page is served. REPOSITORY is
a folder, file://, https:// or ssh:// address.

What a commit gets wrong stays as it was, and is shown with its place by
camfleet status. A commit that would remove many cameras waits for
camfleet approve COMMIT. Recordings are deleted by their retention only.

Secrets are files, mode 0600: DIR/secrets/<site>/<secret>/username and password of
a camera, and DIR/secrets/<site>/<secret>/auth (htpasswd -B) of a page with a password.`,
		Example: "  camfleet up ./our-fleet --dir /var/lib/camfleet\n" +
			"  camfleet up https://git.example.org/fleet.git --token-file token --listen 0.0.0.0:8080",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.source.URL = args[0]
			flags.banner = func(url string) {
				fmt.Fprintf(a.stdout, "camfleet up\n  page   %s\n  fleet  %s\n  state  %s\n\n", url, args[0], flags.dir)
			}
			return a.up(cmd.Context(), flags)
		},
	}
	cmd.Flags().StringVar(&flags.dir, "dir", defaultState, "state folder: objects, recordings, secrets")
	cmd.Flags().StringVar(&flags.archive, "archive", "", "folder of the recordings (default: archive in the state folder)")
	cmd.Flags().StringVar(&flags.secrets, "secrets", "", "folder of the secrets (default: secrets in the state folder)")
	registerSource(cmd, &flags.source)
	flags.registerShared(cmd)
	return cmd
}

// up runs a fleet on this machine until ctx ends.
func (a *app) up(ctx context.Context, flags upFlags) error {
	log, err := a.logOf(flags.log)
	if err != nil {
		return err
	}
	if err := flags.validate(); err != nil {
		return err
	}
	src, err := source.New(flags.source)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	worker, err := findWorker(flags.worker)
	if err != nil {
		return err
	}
	machine, err := host.Open(host.Options{
		State: flags.dir, Archive: flags.archive, Secrets: flags.secrets, Worker: []string{worker}, Shards: flags.shards, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() {
		if err := machine.Close(); err != nil {
			log.Warn("closing the state folder", "error", err)
		}
	}()
	page, err := net.Listen("tcp", flags.listen)
	if err != nil {
		return fmt.Errorf("listening for the page: %w; choose another address with --listen", err)
	}
	control, err := machine.ListenControl()
	if err != nil {
		return errors.Join(err, page.Close())
	}
	r, err := a.reconciler(flags, src, machine, log)
	if err != nil {
		return errors.Join(err, page.Close(), control.Close())
	}
	return a.runActors(ctx, flags, machine, r, page, control, log)
}

// leastPoll keeps a typing mistake from asking a Git server without a pause.
const leastPoll = 100 * time.Millisecond

func (f *upFlags) validate() error {
	if err := f.compile.validate(); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(f.listen); err != nil {
		return usage("--listen is HOST:PORT, such as 127.0.0.1:8080, not %q", f.listen)
	}
	switch {
	case f.poll < leastPoll:
		return usage("--poll is a time between two looks at the repository, at least %s, not %s", leastPoll, f.poll)
	case f.shards < 1:
		return usage("--shard is a number of worker processes, at least 1, not %d", f.shards)
	}
	return nil
}

func (a *app) reconciler(flags upFlags, src *source.Source, machine *host.Host, log *slog.Logger) (*reconciler.Reconciler, error) {
	child, err := a.compiler(flags.compile, log)
	if err != nil {
		return nil, err
	}
	return &reconciler.Reconciler{
		Source: src, Cluster: machine, Notes: machine, Interval: flags.poll, Log: log,
		Compile: func(ctx context.Context, files fs.FS) (*object.Result, error) {
			return child.Compile(ctx, files, compiler.Options{Cluster: flags.compile.cluster})
		},
		ApproveWith: "camfleet approve --dir " + flags.dir,
		Cameras:     machine.Cameras, Warnings: machine.Warnings, Synced: a.changePrinter(),
	}, nil
}

// changePrinter prints what a sync changed, as a person reads it.
func (a *app) changePrinter() func(engine.ChangeSet) {
	colour := changeColour(terminal(a.stdout))
	var mu sync.Mutex
	return func(s engine.ChangeSet) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(a.stdout, "commit %.12s\n", s.Commit)
		_ = s.Table(a.stdout, colour) // a terminal that is gone is nobody's loss
	}
}

// runActors starts everything that runs, in the order in which it is needed,
// and stops it in the other order: the reconciler first, the workers last.
func (a *app) runActors(ctx context.Context, flags upFlags, machine *host.Host, r *reconciler.Reconciler, page, control net.Listener, log *slog.Logger) error {
	address := url.URL{Scheme: "http", Host: pageHost(page.Addr())}
	web, err := machine.Handler(host.WebOptions{API: r.Handler(), Hosts: flags.hosts, Metrics: r.Metrics()})
	if err != nil {
		return errors.Join(err, page.Close(), control.Close())
	}
	group, ctx := errgroup.WithContext(ctx)
	// The cameras, from what is on disk already: they need no repository.
	group.Go(func() error { return machine.Run(ctx) })
	// The page and the API.
	group.Go(func() error { return host.Serve(ctx, page, web, log) })
	// The owner's commands.
	group.Go(func() error { return host.Serve(ctx, control, r.ControlHandler(address), log) })
	// The loop that changes things.
	group.Go(func() error { return r.Run(ctx) })
	flags.banner(address.String())
	return group.Wait()
}

// pageHost is an address that a browser on this machine can open.
func pageHost(addr net.Addr) string {
	hostname, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(hostname); ip != nil && ip.IsUnspecified() {
		hostname = "127.0.0.1"
	}
	return net.JoinHostPort(hostname, port)
}

// findWorker is the program that records.
func findWorker(given string) (string, error) {
	if given != "" {
		if info, err := os.Stat(given); err != nil {
			return "", usage("--worker: %w; it is the program camfleet-worker (make build)", err)
		} else if info.IsDir() || info.Mode()&0o111 == 0 {
			return "", usage("--worker: %s is not a program; it is camfleet-worker (make build)", given)
		}
		return filepath.Abs(given)
	}
	self, err := os.Executable()
	if err == nil {
		beside := filepath.Join(filepath.Dir(self), "camfleet-worker")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	path, err := exec.LookPath("camfleet-worker")
	if err != nil {
		return "", errors.New("camfleet-worker is neither beside camfleet nor in PATH: build both (make build), or name it with --worker")
	}
	return filepath.Abs(path)
}

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/spf13/cobra"

	"camfleet.dev/cmd/camfleet/internal/example"
	"camfleet.dev/schema"
	"camfleet.dev/workers/fakecam"
)

func (a *app) demoCommand() *cobra.Command {
	flags := upFlags{poll: time.Second, log: logFlags{format: "text"}}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the example fleet on this machine, with simulated cameras",
		Long: `demo writes the example fleet into a new Git repository, DIR/fleet, simulates its
cameras, and runs it: live video, recordings, and a page. Edit a .cue file there,
commit, and the page follows. What is in DIR stays, and the next demo goes on
with it; remove the folder to begin anew.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context(), flags) },
	}
	cmd.Flags().StringVar(&flags.dir, "dir", "camfleet-demo", "folder for the repository, the recordings and all state")
	flags.registerShared(cmd)
	return cmd
}

func (a *app) demo(ctx context.Context, flags upFlags) error {
	if err := flags.validate(); err != nil {
		return err
	}
	repo := filepath.Join(flags.dir, "fleet")
	if err := prepareDemo(repo); err != nil {
		return fmt.Errorf("preparing the demo in %s: %w", flags.dir, err)
	}
	flags.source.URL = repo
	flags.secrets = filepath.Join(flags.dir, "secrets")
	cameras, err := a.demoCameras(ctx, repo, flags.secrets)
	if err != nil {
		return err
	}
	if err := cameras.Start(); err != nil {
		return fmt.Errorf("starting the simulated cameras: %w; is another demo running?", err)
	}
	defer cameras.Close()
	flags.banner = func(url string) {
		fmt.Fprintf(a.stdout, `camfleet demo
  page     %s
  fleet    %s (edit a .cue file there and commit: the page follows)
  cameras  simulated; any rtsp://127.0.0.1:%s/SITE/CAMERA can be added
  Ctrl-C stops it. %s keeps the recordings.

`, url, repo, cameraPort(repo), flags.dir)
	}
	return a.up(ctx, flags)
}

// prepareDemo makes the demo's repository, once. It is written beside its
// final name and renamed, so that a demo killed here begins anew.
func prepareDemo(repo string) error {
	if _, err := os.Stat(repo); err == nil {
		return nil
	}
	temporary := repo + ".new"
	if err := os.RemoveAll(temporary); err != nil {
		return err
	}
	port, err := freePort(examplePort)
	if err != nil {
		return err
	}
	err = example.Write(temporary, func(_ string, content []byte) []byte {
		return bytes.ReplaceAll(content, []byte("127.0.0.1:"+examplePort+"/"), []byte("127.0.0.1:"+port+"/"))
	})
	if err != nil {
		return err
	}
	if err := commitAll(temporary, "The example fleet"); err != nil {
		return err
	}
	return os.Rename(temporary, repo)
}

// examplePort is where the example fleet says its cameras are.
const examplePort = "18554"

// freePort is the wanted port of this machine when nobody listens there, or another one.
func freePort(wanted string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:"+wanted)
	if err != nil {
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "", fmt.Errorf("finding a port for the simulated cameras: %w", err)
		}
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// commitAll makes dir a Git repository on branch main with all its files in one commit.
func commitAll(dir, message string) error {
	repo, err := git.PlainInitWithOptions(dir, &git.PlainInitOptions{
		InitOptions: git.InitOptions{DefaultBranch: plumbing.NewBranchReferenceName("main")},
	})
	if err != nil {
		return fmt.Errorf("making the Git repository: %w", err)
	}
	tree, err := repo.Worktree()
	if err != nil {
		return fmt.Errorf("making the Git repository: %w", err)
	}
	if err := tree.AddWithOptions(&git.AddOptions{All: true}); err != nil {
		return fmt.Errorf("adding the files: %w", err)
	}
	who := &object.Signature{Name: "camfleet demo", Email: "demo@camfleet.dev", When: time.Now()}
	if _, err := tree.Commit(message, &git.CommitOptions{Author: who}); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

var cameraAddress = regexp.MustCompile(`rtsp://127\.0\.0\.1:(\d+)/`)

// cameraPort is the port of the demo's cameras, as its CUE says.
func cameraPort(repo string) string {
	port := examplePort
	_ = filepath.WalkDir(filepath.Join(repo, "sites"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if b, err := os.ReadFile(path); err == nil {
			if m := cameraAddress.FindSubmatch(b); m != nil {
				port = string(m[1])
				return fs.SkipAll
			}
		}
		return nil
	})
	return port
}

// demoCameras simulates the fleet's cameras, and any other path beside them,
// so that a camera added to the demo's CUE is there.
func (a *app) demoCameras(ctx context.Context, repo, secrets string) (*fakecam.Set, error) {
	log := a.logger(slog.LevelWarn, "text")
	anyPath := fakecam.Source{Site: "demo", Name: "any", URL: "rtsp://127.0.0.1:" + cameraPort(repo) + "/demo/any"}
	res, err := a.compileDir(ctx, repo, compileFlags{deadline: time.Minute, memory: 1024})
	if err != nil {
		return nil, err
	}
	cameras, err := workerCameras(res, "")
	if err != nil {
		return nil, err
	}
	for _, c := range cameras {
		if err := demoSecret(secrets, c); err != nil {
			return nil, err
		}
	}
	fleet, err := sources(res, "", secrets)
	if err != nil {
		return nil, err
	}
	set, err := fakecam.NewSet("", append(fleet, anyPath), log)
	if err != nil {
		return nil, err
	}
	for _, server := range set.Servers {
		server.Any = true
	}
	return set, nil
}

// demoSecret makes up a password for a camera's secret, once.
func demoSecret(secrets string, c schema.WorkerCamera) error {
	if c.Credentials == "" {
		return nil
	}
	dir := filepath.Join(secrets, c.Site, c.Credentials)
	if _, err := os.Stat(filepath.Join(dir, "password")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing the demo's password: %w", err)
	}
	random := make([]byte, 12)
	if _, err := rand.Read(random); err != nil {
		return fmt.Errorf("making up the demo's password: %w", err)
	}
	for _, f := range [][2]string{{"username", "viewer"}, {"password", hex.EncodeToString(random)}} {
		if err := os.WriteFile(filepath.Join(dir, f[0]), []byte(f[1]+"\n"), 0o600); err != nil {
			return fmt.Errorf("writing the demo's password: %w", err)
		}
	}
	return nil
}

package main

import (
	"cmp"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"camfleet.dev/reconciler/control"
	"camfleet.dev/reconciler/source"
)

// targetFlags say which cluster, and which reconciler in it.
type targetFlags struct {
	kubeconfig, context, namespace, name string
}

func (f *targetFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "how to reach the cluster (default: KUBECONFIG, ~/.kube/config, or the Pod's own)")
	cmd.Flags().StringVar(&f.context, "context", "", "context of the kubeconfig")
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "", "namespace of the reconciler (default: POD_NAMESPACE, or camfleet-system)")
	cmd.Flags().StringVar(&f.name, "name", control.DefaultName, "name of the reconciler, when there are several")
}

// config is how the cluster is reached, and where in it the reconciler is.
func (f targetFlags) config() (*rest.Config, string, error) {
	config, _, err := control.Config(f.kubeconfig, f.context)
	if err != nil {
		return nil, "", &exitError{exitUsage, err}
	}
	return config, cmp.Or(f.namespace, os.Getenv("POD_NAMESPACE"), control.DefaultNamespace), nil
}

// reader is the reconciler of a cluster, as people talk to it.
func (f targetFlags) reader() (control.Reader, error) {
	config, namespace, err := f.config()
	if err != nil {
		return control.Reader{}, err
	}
	client, err := control.NewClient(config)
	return control.Reader{Client: client, Namespace: namespace, Name: f.name}, err
}

// logFlags say how much is logged, and for whom.
type logFlags struct {
	format  string
	verbose bool
}

func (f *logFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.format, "log-format", f.format, "text or json")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log more")
}

func (a *app) logOf(f logFlags) (*slog.Logger, error) {
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	if f.format != "text" && f.format != "json" {
		return nil, usage("--log-format is text or json, not %q", f.format)
	}
	return a.logger(level, f.format), nil
}

// registerSource registers where a fleet's commits come from.
func registerSource(cmd *cobra.Command, c *source.Config) {
	cmd.Flags().StringVar(&c.Branch, "branch", "", "branch to follow (default: the repository's HEAD)")
	cmd.Flags().StringVar(&c.Path, "path", "", "the fleet's folder inside the repository")
	cmd.Flags().StringVar(&c.TokenFile, "token-file", "", "file with the password or token for https://")
	cmd.Flags().StringVar(&c.KeyFile, "ssh-key", "", "private key for ssh://")
	cmd.Flags().StringVar(&c.AllowedSigners, "allowed-signers", "", "file with the SSH keys that may sign commits (ssh-keygen's format); others are held")
	cmd.Flags().StringVar(&c.KnownHosts, "known-hosts", "", "host keys for ssh:// (required there)")
}

// command is how a command is typed so that it means this reconciler.
func (f targetFlags) command(name string) string {
	text := "camfleet " + name
	for _, flag := range []struct{ name, value, usual string }{
		{"context", f.context, ""},
		{"namespace", f.namespace, ""},
		{"name", f.name, control.DefaultName},
	} {
		if flag.value != "" && flag.value != flag.usual {
			text += " --" + flag.name + " " + flag.value
		}
	}
	return text
}

package cptest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Files of a cluster's folder.
const (
	tokenFile       = "tokens.csv"
	auditPolicyFile = "audit-policy.yaml"
	stageFile       = "stages.yaml"
)

// auditPolicy has one line per request, without bodies, once it is answered.
const auditPolicy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}`

// writeFiles writes what the components read.
func (c *Cluster) writeFiles(ctx context.Context, o Options, kwokStages string) error {
	var tokens strings.Builder
	for name, user := range users {
		token := newToken()
		if name == kubectl {
			c.AdminToken = token
		}
		fields := strings.SplitN(user, ",", 3)
		fmt.Fprintf(&tokens, "%s,%s\n", token, strings.Join(fields, ","))
		if err := c.writeKubeconfig(c.kubeconfig(name), token); err != nil {
			return err
		}
	}
	for _, u := range o.Users {
		token := newToken()
		fmt.Fprintf(&tokens, "%s,%s,%s,%q\n", token, u.Name, u.Name, strings.Join(u.Groups, ","))
		if err := c.writeKubeconfig(c.UserKubeconfig(u.Name), token); err != nil {
			return err
		}
	}
	c.KubeconfigFile = c.kubeconfig(kubectl)
	shown := o.Stages
	if shown == "" {
		out, err := exec.CommandContext(ctx, kwokStages).Output()
		if err != nil {
			return fmt.Errorf("asking for kwok's stages: %w", err)
		}
		shown = string(out)
	}
	for name, text := range map[string]string{tokenFile: tokens.String(), stageFile: shown, auditPolicyFile: auditPolicy} {
		if err := os.WriteFile(c.file(name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("writing the control plane's files: %w", err)
		}
	}
	return nil
}

// UserKubeconfig is the path of the kubeconfig of one of Options.Users.
func (c *Cluster) UserKubeconfig(name string) string {
	return c.file("user-" + strings.ReplaceAll(name, ":", "-") + ".kubeconfig")
}

// Kubeconfig writes a kubeconfig for a bearer token and returns its path.
func (c *Cluster) Kubeconfig(token string) (string, error) {
	f, err := os.CreateTemp(c.Dir, "*.kubeconfig")
	if err != nil {
		return "", fmt.Errorf("making a kubeconfig: %w", err)
	}
	defer f.Close()
	return f.Name(), c.writeKubeconfig(f.Name(), token)
}

func (c *Cluster) writeKubeconfig(path, token string) error {
	type named map[string]any
	config := named{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []named{{"name": "test", "cluster": named{"server": c.Host, "certificate-authority-data": c.CA}}},
		"users":    []named{{"name": "test", "user": named{"token": token}}},
		"contexts": []named{{"name": "test", "context": named{"cluster": "test", "user": "test"}}},
	}
	text, err := json.Marshal(config) // JSON is YAML; bytes are base64 in both
	if err != nil {
		return fmt.Errorf("encoding a kubeconfig: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return nil
}

// Kubectl is kubectl as the administrator; a later --kubeconfig or --token makes it
// somebody else. Its cache stays in the cluster's folder.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.kubectl, append([]string{"--kubeconfig=" + c.KubeconfigFile}, args...)...)
	cmd.Env = c.env()
	return cmd
}

// env is the environment of the programs: nothing of the machine's configuration.
func (c *Cluster) env() []string {
	return []string{"HOME=" + c.Dir, "PATH=" + filepath.Dir(c.kubectl) + ":/usr/sbin:/usr/bin:/sbin:/bin"}
}

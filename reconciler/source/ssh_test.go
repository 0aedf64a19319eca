package source_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/source/sourcetest"
)

func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, file
}

// sshServer answers git-upload-pack for one client key, with git's own program.
func sshServer(t *testing.T, host ssh.Signer, client ssh.PublicKey) net.Addr {
	t.Helper()
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(client.Marshal()) {
			return nil, fmt.Errorf("unknown key")
		}
		return nil, nil
	}}
	cfg.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveSSH(conn, cfg)
		}
	}()
	return l.Addr()
}

func serveSSH(conn net.Conn, cfg *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, cfg)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for newChannel := range channels {
		channel, requests, err := newChannel.Accept()
		if err != nil {
			return
		}
		for req := range requests {
			if req.Type != "exec" {
				_ = req.Reply(false, nil)
				continue
			}
			_ = req.Reply(true, nil)
			var command struct{ Line string }
			_ = ssh.Unmarshal(req.Payload, &command)
			var path string
			_, _ = fmt.Sscanf(command.Line, "git-upload-pack '%s", &path)
			cmd := exec.Command("git", "-c", "safe.directory=*", "upload-pack", path[:len(path)-1])
			cmd.Stdin, cmd.Stdout = channel, channel
			_ = cmd.Run()
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
			channel.Close()
		}
	}
}

func TestSSH(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	old := repo.Commit("fleet.cue", "old")
	hash := repo.Commit("fleet.cue", "package fleet\n")
	hostKey, _ := newKey(t)
	otherHost, _ := newKey(t)
	client, keyFile := newKey(t)
	_, otherKey := newKey(t)
	addr := sshServer(t, hostKey, client.PublicKey())
	url := "ssh://git@" + addr.String() + repo.Dir + "/.git"
	hosts := func(key ssh.PublicKey) string {
		file := filepath.Join(t.TempDir(), "known_hosts")
		line := knownhosts.Line([]string{knownhosts.Normalize(addr.String())}, key) + "\n"
		if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good := hosts(hostKey.PublicKey())

	s := newSource(t, source.Config{URL: url, KeyFile: keyFile, KnownHosts: good})
	if c := fetch(t, s, ""); c.Hash != hash {
		t.Errorf("commit %s, want %s", c.Hash, hash)
	}
	wantNoCommit(t, s, old, "does not give out that commit")
	repo.Git("config", "uploadpack.allowReachableSHA1InWant", "true")
	if c, err := s.FetchCommit(t.Context(), old); err != nil || c.Hash != old {
		t.Errorf("%+v, %v", c, err)
	}
	next := repo.Commit("other.cue", "new")
	if c := fetch(t, s, hash); c.Hash != next {
		t.Errorf("commit %s, want %s", c.Hash, next)
	}
	if fetch(t, s, next) != nil {
		t.Error("the same commit twice")
	}
	wantError(t, newSource(t, source.Config{URL: url, KeyFile: keyFile, KnownHosts: hosts(otherHost.PublicKey())}), "host's key is not the one")
	wantError(t, newSource(t, source.Config{URL: url, KeyFile: otherKey, KnownHosts: good}), "does not accept the key")
	wantError(t, newSource(t, source.Config{URL: url, KeyFile: "/nowhere", KnownHosts: good}), "reading the ssh key")
}

// A server that takes connections and never speaks is an error in time, and
// costs a few connections at most. It is read when it speaks again.
func TestSilentSSH(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	repo := sourcetest.NewRepo(t)
	hash := repo.Commit("fleet.cue", "package fleet\n")
	hostKey, _ := newKey(t)
	_, keyFile := newKey(t)
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
	cfg.AddHostKey(hostKey)
	taken, speak := make(chan net.Conn, 100), make(chan struct{})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			select {
			case <-speak:
				go serveSSH(conn, cfg)
			default:
				taken <- conn
			}
		}
	}()
	t.Cleanup(func() { listener.Close() })
	file := filepath.Join(t.TempDir(), "known_hosts")
	line := knownhosts.Line([]string{knownhosts.Normalize(listener.Addr().String())}, hostKey.PublicKey()) + "\n"
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSource(t, source.Config{URL: "ssh://git@" + listener.Addr().String() + repo.Dir + "/.git", KeyFile: keyFile, KnownHosts: file})
	for i := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		began := time.Now()
		_, err := s.Fetch(ctx, "")
		cancel()
		if took := time.Since(began); err == nil || took > 10*time.Second {
			t.Fatalf("%v after %s", err, took)
		}
		if i == 0 && !strings.Contains(err.Error(), "the server did not answer in time") {
			t.Error(err)
		}
	}
	if n := len(taken); n > 8 {
		t.Errorf("%d connections are open", n)
	}
	close(speak)
	for range len(taken) {
		(<-taken).Close()
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := s.Fetch(t.Context(), "")
		if err == nil && c.Hash == hash {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

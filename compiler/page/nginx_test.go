package page_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"camfleet.dev/compiler/page"
	"camfleet.dev/compiler/page/pagetest"
)

// nobody is who nginx runs as in a Pod.
const nobody = 65532

// TestNginx runs the generated nginx.conf in a real nginx, and asks it
// everything that the host's server is asked too.
func TestNginx(t *testing.T) {
	t.Parallel()
	pagetest.Run(t, serve(t, pagetest.Fleet().Sites[0], nil))
}

// serve runs the page of a site in nginx. door is what the Secret holds: nil
// for a site without one, "" for a Secret that is not there.
func serve(t *testing.T, site page.Site, door *string) pagetest.Target {
	t.Helper()
	program := nginxProgram(t)
	dir := sharedDir(t)
	worker := pagetest.NewWorker()
	upstream := httptest.NewServer(worker)
	t.Cleanup(upstream.Close)

	listener := listen(t)
	conf := page.InPod(site.Name, door != nil)
	conf.Listen = listener.Addr().String()
	conf.Upstream = strings.Replace(conf.Upstream, ":8080", upstream.URL[strings.LastIndex(upstream.URL, ":"):], 1)
	conf.Archive, conf.Page, conf.Run = dir+"/archive", dir+"/page", dir+"/run"
	target := pagetest.Target{URL: "http://" + conf.Listen, Folder: filepath.Join(conf.Archive, pagetest.North), Worker: worker}
	if door != nil {
		conf.Auth = filepath.Join(dir, page.AuthKey)
		target.Door = filepath.Join(dir, "secret")
		link(t, "secret", conf.Auth) // as in a Secret's volume
	}
	if door != nil && *door != "" {
		write(t, target.Door, *door)
	}
	pagetest.Fill(t, target.Folder)
	mkdir(t, filepath.Join(conf.Archive, pagetest.Dark), conf.Run)
	writeConfig(t, conf, site)
	resolver := fmt.Sprintf("resolver %s valid=5s;\nmap $host $camfleet_domain {\n\tdefault \".cluster.local\";\n}\n",
		nameServer(t, "camera-north.cameras.camfleet-"+site.Name+".svc.cluster.local"))
	write(t, filepath.Join(conf.Run, page.Resolver), resolver)
	start(t, program, conf, dir, listener)
	return target
}

func nginxProgram(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("nginx is not installed: apt-get install nginx-light")
	}
	t.Skip("nginx is not installed: apt-get install nginx-light")
	return ""
}

// sharedDir is a folder that nginx's user can enter.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "page")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mkdir(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	mkdir(t, filepath.Dir(path))
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// writeConfig lays the page's ConfigMap out as the kubelet does: each file is
// a link into a folder behind a link.
func writeConfig(t *testing.T, conf page.Nginx, site page.Site) {
	t.Helper()
	config, err := page.NewConfig(pagetest.Fleet().Fleet, site, "")
	if err != nil {
		t.Fatal(err)
	}
	config.Data[page.ConfigName] = conf.Conf()
	content := map[string]string{}
	for name, b := range config.Binary {
		content[name] = string(b)
	}
	for name, s := range config.Data {
		content[name] = s
	}
	for name, s := range content {
		write(t, filepath.Join(conf.Page, "..2026_11_23", name), s)
		link(t, filepath.Join("..data", name), filepath.Join(conf.Page, name))
	}
	link(t, "..2026_11_23", filepath.Join(conf.Page, "..data"))
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// start runs nginx as in a Pod: not as root, nothing to write to but Run. It
// inherits the listening socket, so that nobody can take its port before.
func start(t *testing.T, program string, conf page.Nginx, dir string, l *net.TCPListener) {
	t.Helper()
	socket := inherit(t, l)
	defer socket.Close()
	var log bytes.Buffer
	cmd := exec.Command(program, "-e", "stderr", "-p", dir, "-c", filepath.Join(conf.Page, page.ConfigName))
	cmd.Env = []string{"NGINX=3;"}
	cmd.ExtraFiles = []*os.File{socket}
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = 5 * time.Second // a child of nginx may hold stderr for ever
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		if err := os.Chown(conf.Run, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	started, done := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // Pdeathsig is of the thread that started it
		defer runtime.UnlockOSThread()
		started <- cmd.Start()
		done <- cmd.Wait()
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, cmd, done, &log) })
}

// inherit is l for a child, and does not block: nginx takes an inherited socket
// as it is, and would wait in accept for ever when a client goes away early. A
// file that was made of a blocking socket is not touched by os/exec any more.
func inherit(t *testing.T, l *net.TCPListener) *os.File {
	t.Helper()
	first, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	fd, err := syscall.Dup(int(first.Fd())) // Fd makes it block
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "listener")
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return f
}

// stop ends nginx gracefully, as the kubelet does (its image's STOPSIGNAL is QUIT), and shows its log when the test failed.
func stop(t *testing.T, cmd *exec.Cmd, done <-chan error, log *bytes.Buffer) {
	cmd.Process.Signal(syscall.SIGQUIT) //nolint:errcheck // it may have ended by itself
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // it may have ended just now
		<-done
	}
	if t.Failed() {
		t.Logf("nginx said:\n%s", log)
	}
	if strings.Contains(log.String(), "[emerg]") || strings.Contains(log.String(), "[alert]") {
		t.Errorf("nginx is not happy:\n%s", log)
	}
}

// nameServer answers for one name (127.0.0.1), as the cluster's DNS does.
func nameServer(t *testing.T, known string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			conn.WriteTo(dnsAnswer(buf[:n], known), from) //nolint:errcheck // nginx asks again
		}
	}()
	return conn.LocalAddr().String()
}

// dnsAnswer turns a query with one question (RFC 1035 §4) into its answer.
func dnsAnswer(query []byte, known string) []byte {
	var name []string
	i := 12
	for query[i] != 0 {
		name = append(name, string(query[i+1:i+1+int(query[i])]))
		i += 1 + int(query[i])
	}
	question := query[12 : i+5]
	isA := binary.BigEndian.Uint16(query[i+1:]) == 1
	out := bytes.NewBuffer(append([]byte{}, query[:2]...))
	switch {
	case strings.Join(name, ".") != known:
		out.Write([]byte{0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0}) // no such name
	case !isA:
		out.Write([]byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}) // nothing of this type
	default:
		out.Write([]byte{0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0})
	}
	out.Write(question)
	if isA && strings.Join(name, ".") == known {
		out.Write([]byte{0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 127, 0, 0, 1})
	}
	return out.Bytes()
}

package rtsp2hls

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"camfleet.dev/schema"
	"camfleet.dev/workers/archive"
	"camfleet.dev/workers/fakecam"
	"camfleet.dev/workers/media"
)

// update changes the running camera's configuration.
func (r *rig) update(change func(*schema.WorkerCamera)) {
	change(&r.options.Config)
	r.camera.Update(r.options.Config)
}

func TestUpdateKeepsTheConnection(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{}).record()
	r.segments(1)
	r.update(func(c *schema.WorkerCamera) {
		c.Recording.Retention.Age = schema.Duration(time.Hour)
		c.Recording.Segment = schema.Duration(2 * time.Second)
		c.Live.Latency = "low"
	})
	r.until("a longer segment", func() bool {
		all := r.entries()
		return len(all) > 0 && all[len(all)-1].Length() > 1900*time.Millisecond
	})
	if all := r.judge(); len(sessions(all)) != 1 {
		t.Errorf("%d sessions: frames were lost for nothing", len(sessions(all)))
	}
	if n := r.server.Total().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestUpdateOfTheTransportReconnects(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{}).record()
	r.segments(1)
	r.update(func(c *schema.WorkerCamera) { c.Transport = "udp" })
	r.until("a second session", func() bool { return len(sessions(r.entries())) >= 2 })
	if all := r.judge(); gapCause(all) != string(media.CauseConfig) {
		t.Errorf("gap cause %q", gapCause(all))
	}
}

func TestBadUpdateIsNotUsed(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{}).record()
	r.segments(1)
	good := r.options.Config.URL
	r.update(func(c *schema.WorkerCamera) { c.URL = "rtsp://admin:" + testPassword + "@host/x" })
	n := len(r.entries())
	r.segments(n + 2)
	r.options.Config.URL = good
	if all := r.judge(); len(sessions(all)) != 1 {
		t.Errorf("%d sessions", len(sessions(all)))
	}
	r.noSecrets(testPassword)
}

func TestDisabled(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{})
	r.options.Config.Disabled = true
	r.record()
	r.state(archive.Disabled)
	if n := r.server.Total().Connections; n != 0 {
		t.Errorf("%d connections to a disabled camera", n)
	}
	r.update(func(c *schema.WorkerCamera) { c.Disabled = false })
	r.state(archive.Live)
	r.update(func(c *schema.WorkerCamera) { c.Disabled = true })
	r.state(archive.Disabled)
}

func TestRecordingSwitchedOffAndOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{}).record()
	r.segments(1)
	r.update(func(c *schema.WorkerCamera) { c.Recording.Enabled = false })
	r.until("the last segment", func() bool { return r.camera.rec.enabled.Load() == false })
	frames := r.server.Total().Frames
	r.until("frames", func() bool { return r.server.Total().Frames > frames+50 })
	n := len(r.entries())
	r.until("frames", func() bool { return r.server.Total().Frames > frames+100 })
	if now := len(r.entries()); now > n {
		t.Errorf("%d segments were recorded", now-n)
	}
	if s := r.state(archive.Live); s.Message != "" {
		t.Errorf("message %q", s.Message)
	}
	r.update(func(c *schema.WorkerCamera) { c.Recording.Enabled = true })
	r.segments(n + 1)
	if all := r.judge(); len(sessions(all)) != 2 {
		t.Errorf("%d sessions", len(sessions(all)))
	}
}

// fullDisk refuses writes to segments while it is full.
type fullDisk struct {
	archive.OS
	mutex sync.Mutex
	full  bool
}

func (d *fullDisk) set(full bool) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.full = full
}

func (d *fullDisk) OpenFile(op, name string, flag int) (archive.File, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.full && flag&os.O_CREATE != 0 {
		return nil, &os.PathError{Op: op, Path: name, Err: syscall.ENOSPC}
	}
	return d.OS.OpenFile(op, name, flag)
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := &fullDisk{}
	r := newRig(t, fakecam.Camera{})
	r.options.FS = disk
	r.record()
	r.segments(1)
	disk.set(true)
	s := r.state(archive.StorageFull)
	if s.Message == "" {
		t.Error("no message")
	}
	n := len(r.entries())
	disk.set(false)
	r.segments(n + 1)
	all := r.judge()
	if gapCause(all) != string(media.CauseStorage) {
		t.Errorf("gap cause %q", gapCause(all))
	}
	if n := r.server.Total().Connections; n != 1 {
		t.Errorf("%d connections: a full disk is not the camera's fault", n)
	}
}

// TestDamagedArchive: an old hour that cannot be put in order, because a folder
// stands where its journal was, is said, and the camera is recorded.
func TestDamagedArchive(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{})
	old := filepath.Join(string(r.dir), "2026-01-02", "00")
	if err := os.MkdirAll(filepath.Join(old, archive.JournalName), 0o755); err != nil {
		t.Fatal(err)
	}
	r.record()
	s := r.state(archive.Live)
	if !strings.Contains(s.Message, "2026-01-02/00") {
		t.Errorf("message %q", s.Message)
	}
	r.until("a segment", func() bool {
		all, err := archive.Scan(context.Background(), r.dir, s.Since.Add(-time.Hour), time.Time{})
		return err == nil && len(all) > 0
	})
}

func TestArchiveOfAnotherWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{})
	other, err := archive.Open(context.Background(), archive.Options{Dir: r.dir, Log: r.options.Log})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := archive.WriteStatus(r.dir, archive.Status{State: archive.Live, Message: "the other's"}); err != nil {
		t.Fatal(err)
	}
	r.record()
	r.until("frames", func() bool { return r.server.Total().Frames > 30 })
	if s, err := archive.ReadStatus(r.dir); err != nil || s.Message != "the other's" {
		t.Errorf("status %+v, %v: it belongs to who has the lock", s, err)
	}
	r.until("a bad health", func() bool { return r.camera.Health().Reason != "" })
}

// Where a lock does not reach other machines, another worker can take the
// archive over: this one stops writing, also status.json, and does not fight.
func TestArchiveTakenOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, fakecam.Camera{})
	r.record()
	r.segments(1)
	lock := filepath.Join(string(r.dir), archive.LockName)
	other, err := json.Marshal(archive.Holder{Session: "theirs", PID: 1, Host: "another", Since: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lock, other, 0o600); err != nil {
		t.Fatal(err)
	}
	r.until("the worker gives way", func() bool { return strings.Contains(r.log.String(), "another worker records this camera now") })
	n := len(r.entries())
	if err := archive.WriteStatus(r.dir, archive.Status{State: archive.Live, Message: "theirs"}); err != nil {
		t.Fatal(err)
	}
	frames := r.server.Total().Frames
	r.until("two more segments' frames", func() bool { return r.server.Total().Frames > frames+60 })
	if got := len(r.entries()); got != n {
		t.Errorf("%d segments were recorded after the archive was taken over", got-n)
	}
	if s, err := archive.ReadStatus(r.dir); err != nil || s.Message != "theirs" {
		t.Errorf("status %+v, %v: it belongs to who has the archive", s, err)
	}
	if held, err := os.ReadFile(lock); err != nil || string(held) != string(other) {
		t.Errorf("the lock was taken back: %s, %v", held, err)
	}
	r.until("a bad health", func() bool { return r.camera.Health().Reason != "" })
}

// The archive is taken back when the other worker has recorded nothing for long.
func TestOthersAlive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	live := filepath.Join(dir, archive.LiveName)
	if err := os.WriteFile(live, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, c := range []struct {
		lost bool
		age  time.Duration
		want bool
	}{{false, 0, false}, {true, time.Second, true}, {true, othersRest - time.Second, true}, {true, othersRest + time.Second, false}} {
		if err := os.Chtimes(live, now.Add(-c.age), now.Add(-c.age)); err != nil {
			t.Fatal(err)
		}
		w := &segmentWriter{lost: c.lost, clock: fixedClock{now}, options: archive.Options{Dir: archive.Dir(dir)}}
		if got := w.othersAlive(); got != c.want || w.lost != c.want {
			t.Errorf("%+v: alive %v, lost %v", c, got, w.lost)
		}
	}
}

// fixedClock is a clock that stands still.
type fixedClock struct{ now time.Time }

func (c fixedClock) Now() time.Time                       { return c.now }
func (c fixedClock) After(time.Duration) <-chan time.Time { return nil }

// certificate is a camera's own.
func certificate(t *testing.T) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestRTSPS(t *testing.T) {
	t.Parallel()
	cert, text := certificate(t)
	r := newRigServer(t, &fakecam.Server{
		TLS:     &tls.Config{Certificates: []tls.Certificate{cert}},
		Cameras: map[string]fakecam.Camera{path: {Username: testUser, Password: testPassword}},
	})
	r.options.Config.Credentials = "north"
	r.password(testPassword)
	r.record()
	if s := r.state(archive.Unreachable); !strings.Contains(s.Message, "certificate") {
		t.Errorf("message %q", s.Message)
	}
	if err := os.WriteFile(filepath.Join(r.secrets, authorityName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	r.state(archive.Live)
	r.segments(1)
	r.judge()
}

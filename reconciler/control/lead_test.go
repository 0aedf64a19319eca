package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// replica is a process that leads or stands by, and writes all the time while it leads.
type replica struct {
	*world
	name     string
	guard    *Guard
	blocked  atomic.Bool // its requests get no answer any more
	unblock  chan struct{}
	leads    atomic.Bool
	terms    atomic.Int64
	stop     context.CancelFunc
	ended    chan error
	finished time.Duration // how long run takes to end
}

// writes is who has written what, in the order of the API server's answers.
type writes struct {
	mu  sync.Mutex
	all []string
}

func (w *writes) add(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, name)
}

func (w *writes) count(name string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.all {
		if s == name {
			n++
		}
	}
	return n
}

// changes is in which order they wrote: "a b".
func (w *writes) changes() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for i, s := range w.all {
		if i == 0 || w.all[i-1] != s {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

func (r *replica) block(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if r.blocked.Load() {
			select {
			case <-req.Context().Done():
				return nil, req.Context().Err()
			case <-r.unblock:
			}
		}
		return next.RoundTrip(req)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// start runs a replica. Its writes go through its guard; the network between
// the two and the API server can be cut.
func (w *world) start(name string, all *writes, finish time.Duration) *replica {
	w.Helper()
	r := &replica{world: w, name: name, guard: &Guard{}, unblock: make(chan struct{}), ended: make(chan error, 1), finished: finish}
	writer := w.through(func(next http.RoundTripper) http.RoundTripper {
		return r.guard.Wrap(r.block(next))
	})
	ctx, cancel := context.WithCancel(w.Context())
	r.stop = cancel
	o := LeadOptions{
		Client: w.through(r.block), Namespace: w.namespace, Name: DefaultName, Identity: name,
		Lease: 2 * time.Second, Guard: r.guard, Log: w.log(),
	}
	go func() {
		r.ended <- Lead(ctx, o, func(ctx context.Context) error {
			r.terms.Add(1)
			r.leads.Store(true)
			defer r.leads.Store(false)
			for ctx.Err() == nil {
				r.write(ctx, writer, all)
			}
			late := time.After(r.finished)
			for { // a run that does not stop at once
				select {
				case <-late:
					return nil
				default:
					r.write(context.WithoutCancel(ctx), writer, all)
				}
			}
		})
	}()
	w.Cleanup(func() { cancel(); <-r.ended })
	return r
}

func (r *replica) write(ctx context.Context, c *Client, all *writes) {
	err := patch(ctx, c, r.namespace, "work", r.name, map[string]any{"data": map[string]any{"writer": r.name}})
	if err == nil {
		all.add(r.name)
	}
}

func (w *world) work() {
	w.Helper()
	d := &Desk{Client: w.client, Namespace: w.namespace}
	if _, err := d.ensure(w.Context(), "work"); err != nil {
		w.Fatal(err)
	}
}

// TestHandOver: a leader that is told to end gives the lease back, after its
// last write, and the other need not wait for it to run out.
func TestHandOver(t *testing.T) {
	t.Parallel()
	w, all := newWorld(t), &writes{}
	w.work()
	a := w.start("a", all, 300*time.Millisecond)
	w.until("a leads", func() bool { return a.leads.Load() && all.count("a") > 0 })
	b := w.start("b", all, 0)
	<-time.After(2500 * time.Millisecond) // longer than a lease
	if b.leads.Load() {
		t.Fatal("both lead")
	}
	if l, err := w.reader().Leader(t.Context()); err != nil || l.Identity != "a" || !l.Alive() || l.Lease != 2*time.Second {
		t.Errorf("leader %+v %v", l, err)
	}
	began := time.Now()
	a.stop()
	w.until("b leads", func() bool { return b.leads.Load() && all.count("b") > 0 })
	t.Logf("handed over in %s, of which the last writes took 300ms", time.Since(began).Round(time.Millisecond))
	if err := <-a.ended; err != nil {
		t.Error(err)
	}
	a.ended <- nil
	if got := all.changes(); got != "a b" {
		t.Errorf("they wrote in turns: %s", got)
	}
}

// TestPartition: the leader's network is cut. The other takes over; the old one
// writes nothing more, although it tries, and stands by when its network is back.
func TestPartition(t *testing.T) {
	t.Parallel()
	w, all := newWorld(t), &writes{}
	w.work()
	a := w.start("a", all, 6*time.Second) // it goes on writing for longer than the lease
	w.until("a leads", func() bool { return a.leads.Load() && all.count("a") > 0 })
	b := w.start("b", all, 0)
	a.blocked.Store(true)
	cut := time.Now()
	w.until("b leads", func() bool { return all.count("b") > 0 })
	t.Logf("taken over %s after the cut, of a lease of 2s", time.Since(cut).Round(time.Millisecond))
	if a.guard.Held() {
		t.Error("a may still write")
	}
	before := all.count("a")
	a.blocked.Store(false) // the network is back, and a still tries to write
	close(a.unblock)
	w.until("a stands by", func() bool { return !a.leads.Load() })
	<-time.After(time.Second)
	if n := all.count("a") - before; n != 0 || !b.leads.Load() {
		t.Errorf("a wrote %d times after b had taken over", n)
	}
	if l, err := w.reader().Leader(t.Context()); err != nil || l.Identity != "b" {
		t.Errorf("leader %+v %v: who stands by gave the lease of another back", l, err)
	}
	b.stop()
	w.until("a leads again", func() bool { return a.terms.Load() == 2 && a.leads.Load() })
	if got := all.changes(); !strings.HasPrefix(got, "a b") {
		t.Errorf("they wrote in turns: %s", got)
	}
}

// TestStolenLease: somebody else's name in the lease ends the term at once.
func TestStolenLease(t *testing.T) {
	t.Parallel()
	w, all := newWorld(t), &writes{}
	w.work()
	a := w.start("a", all, 0)
	w.until("a leads", func() bool { return a.leads.Load() })
	theft := fmt.Sprintf(`{"spec":{"holderIdentity":"thief","renewTime":%q}}`, time.Now().UTC().Format(metav1.RFC3339Micro))
	_, err := w.client.Leases.Leases(w.namespace).Patch(t.Context(), DefaultName, types.MergePatchType, []byte(theft), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w.until("a stops", func() bool { return !a.leads.Load() })
	if d := time.Since(began); d > 1200*time.Millisecond {
		t.Errorf("it took %s", d)
	}
	w.until("a leads again, once the thief's lease has run out", func() bool { return a.leads.Load() })
}

// TestLeadEnds: what run returns is what Lead returns, and the lease is free then.
func TestLeadEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := LeadOptions{Client: w.client, Namespace: w.namespace, Name: DefaultName, Identity: "a", Lease: 2 * time.Second}
	failure := errors.New("the disk is full")
	for _, want := range []error{failure, nil} {
		if err := Lead(t.Context(), o, func(context.Context) error { return want }); !errors.Is(err, want) || (want == nil) != (err == nil) {
			t.Errorf("%v, want %v", err, want)
		}
		if l, err := w.reader().Leader(t.Context()); err != nil || l.Identity != "" || l.Alive() {
			t.Errorf("leader %+v %v", l, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Lead(ctx, o, func(context.Context) error { return failure }); err != nil {
		t.Errorf("run was called, or: %v", err)
	}
	for _, bad := range []LeadOptions{
		{Client: w.client, Namespace: "x", Name: "y"}, {Client: w.client, Namespace: "x", Name: "y", Identity: "z", Lease: time.Second},
		{Client: w.client, Namespace: "x", Name: "y", Identity: "z", Lease: 2500 * time.Millisecond},
	} {
		if err := Lead(t.Context(), bad, func(context.Context) error { return nil }); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// childEnv makes the test binary a replica: JSON of childConfig.
const childEnv = "CAMFLEET_TEST_REPLICA"

type childConfig struct{ Host, Token, CA, Namespace string }

// child leads and writes as fast as it can, and says so: it is stopped with
// SIGSTOP, anywhere.
func child() {
	var c childConfig
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &c); err != nil {
		panic(err)
	}
	config := &rest.Config{Host: c.Host, BearerToken: c.Token, TLSClientConfig: rest.TLSClientConfig{CAData: []byte(c.CA)}}
	guard := &Guard{}
	plain, err := NewClient(config)
	if err != nil {
		panic(err)
	}
	config.Wrap(guard.Wrap)
	writer, err := NewClient(config)
	if err != nil {
		panic(err)
	}
	o := LeadOptions{Client: plain, Namespace: c.Namespace, Name: DefaultName, Identity: "child", Lease: 2 * time.Second, Guard: guard}
	err = Lead(context.Background(), o, func(ctx context.Context) error {
		fmt.Println("leads")
		for {
			err := patch(context.WithoutCancel(ctx), writer, c.Namespace, "work", "child", map[string]any{"data": map[string]any{"writer": "child"}})
			if errors.Is(err, ErrNotLeader) {
				fmt.Println("refused:", err)
				return nil
			}
		}
	})
	fmt.Println("ended", err)
}

// TestStopped: a leader is stopped with SIGSTOP while it writes, another takes
// over, and the old one wakes up: it writes nothing.
func TestStopped(t *testing.T) {
	t.Parallel()
	w, all := newWorld(t), &writes{}
	w.work()
	config, err := json.Marshal(childConfig{w.config.Host, w.config.BearerToken, string(w.config.CAData), w.namespace})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(config))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()         //nolint:errcheck // it is killed
	defer cmd.Process.Kill() //nolint:errcheck // it may have ended
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "leads" {
		t.Fatalf("it says %q", lines.Text())
	}
	w.until("it writes", func() bool { return w.get("work").Data["writer"] == "child" })
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b := w.start("b", all, 0)
	w.until("b leads", func() bool { return all.count("b") > 0 })
	b.stop()
	w.until("b has stopped writing", func() bool { return !b.leads.Load() })
	version := w.get("work").ResourceVersion
	// Nobody holds the lease now: only the guard is between the child and a write.
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "refused: ") {
		t.Fatalf("it says %q", lines.Text())
	}
	t.Log(lines.Text())
	if cm := w.get("work"); cm.ResourceVersion != version || cm.Data["writer"] != "b" {
		t.Errorf("it wrote: %v", cm.Data)
	}
}

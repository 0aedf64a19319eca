package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"camfleet.dev/hack/cptest"
	"camfleet.dev/hack/manifests"
	"camfleet.dev/reconciler/engine"
)

// TestRights: the reconciler's own ServiceAccount can do all it must with the
// rights of manifests/, a viewer can look, an operator give orders, and who may
// not is told which role it takes.
func TestRights(t *testing.T) {
	t.Parallel()
	cp := shared.Get(t)
	token := manifests.Token(t, cp)
	w := &world{T: t, namespace: manifests.Namespace, config: &rest.Config{Host: cp.Host, BearerToken: cp.AdminToken, TLSClientConfig: rest.TLSClientConfig{CAData: cp.CA}}}
	w.client = w.through(nil)
	as := func(account string) *Client {
		t.Helper()
		other := *w
		other.config = rest.CopyConfig(w.config)
		if other.config.BearerToken = token; account != manifests.Account {
			w.create(cp, "serviceaccount", account)
			other.config.BearerToken = manifests.TokenOf(t, cp, account)
		}
		return other.through(nil)
	}
	t.Cleanup(func() { // after the reconciler has ended; t.Context has, too
		for _, name := range []string{DefaultName, StatusName(DefaultName)} {
			must(t, w.client.Core.ConfigMaps(w.namespace).Delete(context.Background(), name, metav1.DeleteOptions{}))
		}
	})
	reconciler := as(manifests.Account)
	ctx, cancel := context.WithCancel(t.Context())
	f, guard := &fake{}, &Guard{}
	var d *Desk
	ready, ended := make(chan struct{}), make(chan error, 1)
	guarded := *w
	guarded.config = rest.CopyConfig(w.config)
	guarded.config.BearerToken = token
	lead := LeadOptions{Client: reconciler, Namespace: w.namespace, Name: DefaultName, Identity: "camfleet-0", Lease: 3 * time.Second, Guard: guard, Log: w.log()}
	writer := guarded.through(guard.Wrap)
	go func() {
		ended <- Lead(ctx, lead, func(ctx context.Context) error {
			d = &Desk{Client: writer, Namespace: w.namespace, Name: DefaultName, Orders: f.orders(), Every: 100 * time.Millisecond, Log: w.log()}
			var notes struct{}
			if err := errors.Join(d.Open(ctx), d.ReadNotes(&notes), d.WriteNotes(map[string]int{"base": 7})); err != nil {
				return err
			}
			close(ready)
			return d.Run(ctx)
		})
	}()
	t.Cleanup(func() { cancel(); must(t, <-ended) })
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	s := at(commitA)
	s.Held = make([]engine.Change, 4)
	d.Publish(s)

	nobody := Reader{Client: as("nobody"), Namespace: w.namespace, Name: DefaultName}
	if _, err := nobody.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "--clusterrole=camfleet-viewer") {
		t.Errorf("who may nothing is told %v", err)
	}
	viewer := Reader{Client: as("viewer"), Namespace: w.namespace, Name: DefaultName}
	w.create(cp, "rolebinding", "viewer", "--clusterrole=camfleet-viewer", "--serviceaccount="+w.namespace+":viewer")
	w.until("a viewer sees it", func() bool {
		r, err := viewer.Status(t.Context())
		return err == nil && r.Status.Commit == commitA && r.Leader != nil && r.Leader.Identity == "camfleet-0" && r.Leader.Alive()
	})
	if err := viewer.Suspend(t.Context(), "no"); err == nil || !strings.Contains(err.Error(), "--clusterrole=camfleet-operator") {
		t.Errorf("a viewer who suspends is told %v", err)
	}
	operator := Reader{Client: as("operator"), Namespace: w.namespace, Name: DefaultName}
	w.create(cp, "rolebinding", "operator", "--clusterrole=camfleet-operator", "--serviceaccount="+w.namespace+":operator")
	w.until("an operator may suspend", func() bool { return operator.Suspend(t.Context(), "maintenance") == nil })
	w.until("it is suspended", func() bool { return strings.HasSuffix(f.all(), "suspend maintenance") })
	must(t, operator.Resume(t.Context()))
	w.until("it goes on", func() bool { return strings.HasSuffix(f.all(), "resume") })
	hash, n, err := operator.Approve(t.Context(), commitA[:8])
	if err != nil || hash != commitA || n != 4 {
		t.Errorf("approved %s %d %v", hash, n, err)
	}
	w.until("it is approved", func() bool { return strings.HasSuffix(f.all(), "approve "+commitA) })
	w.until("an Event says so", func() bool { return strings.Contains(w.events(), "Normal ApprovalApproved") })
	standby := Reader{Client: reconciler, Namespace: w.namespace, Name: DefaultName} // another replica that got a webhook
	must(t, standby.Wake(t.Context()))
	w.until("the leader wakes", func() bool { return strings.HasSuffix(f.all(), "wake") })
}

// create makes something until the test ends: the namespace is not its own.
func (w *world) create(cp *cptest.Cluster, kind, name string, args ...string) {
	w.Helper()
	out, err := cp.Kubectl(w.Context(), append([]string{"create", kind, name, "-n", w.namespace}, args...)...).CombinedOutput()
	if err != nil {
		w.Fatalf("creating %s %s: %v\n%s", kind, name, err, out)
	}
	w.Cleanup(func() { // w.Context has ended
		if out, err := cp.Kubectl(context.Background(), "delete", kind, name, "-n", w.namespace).CombinedOutput(); err != nil {
			w.Errorf("deleting %s %s: %v\n%s", kind, name, err, out)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReaderSaysWhatToDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.reader()
	for what, err := range map[string]error{
		"status": second(r.Status(t.Context())), "watch": r.Watch(t.Context(), func(Report) error { return nil }),
		"suspend": r.Suspend(t.Context(), "x"), "wake": r.Wake(t.Context()),
	} {
		if err == nil || !strings.Contains(err.Error(), "there is no reconciler named camfleet in namespace "+w.namespace) || !strings.Contains(err.Error(), "kubectl get configmap -A") {
			t.Errorf("%s without a reconciler: %v", what, err)
		}
	}
	d, _ := w.desk(w.client, &fake{})
	if _, err := r.Status(t.Context()); !errors.Is(err, errNothingYet) {
		t.Errorf("before the first report: %v", err)
	}
	d.Publish(at(commitA))
	w.until("it reports", func() bool { return w.status().Commit == commitA })
	for commit, want := range map[string]string{
		"HEAD": "is not a commit", "aaaa": "is not a commit", commitB: "is not the newest", strings.ToUpper(commitA): "nothing is held",
	} {
		if _, _, err := r.Approve(t.Context(), commit); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("approving %s: %v", commit, err)
		}
	}
	if _, ok := w.get(DefaultName).Annotations[AnnotationApprove]; ok {
		t.Error("it was approved")
	}
	stranger := *w
	stranger.config = rest.CopyConfig(w.config)
	stranger.config.BearerToken = "nonsense"
	r.Client = stranger.through(nil)
	if _, err := r.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "does not know you") {
		t.Errorf("a stranger is told: %v", err)
	}
}

// TestClocksDiffer: a lease whose time is an hour old, and that is renewed, is held.
func TestClocksDiffer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name, seconds := "camfleet-0", int32(2)
	api := w.client.Leases.Leases(w.namespace)
	_, err := api.Create(t.Context(), &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: DefaultName},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &metav1.MicroTime{Time: time.Now().Add(-time.Hour)}},
	}, metav1.CreateOptions{})
	must(t, err)
	if l, err := w.reader().leads(t.Context()); err != nil || l.Alive() || !strings.Contains(l.String(), "was last heard of 1h0m") {
		t.Errorf("nobody renews it: %s %v", l, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			renewal := fmt.Sprintf(`{"spec":{"renewTime":%q}}`, time.Now().Add(-time.Hour).UTC().Format(metav1.RFC3339Micro))
			_, _ = api.Patch(ctx, DefaultName, types.MergePatchType, []byte(renewal), metav1.PatchOptions{})
		}
	}()
	if l, err := w.reader().leads(t.Context()); err != nil || !l.Alive() || l.String() != name {
		t.Errorf("it is renewed: %s %v", l, err)
	}
	cancel()
	<-done
}

func second[T any](_ T, err error) error { return err }

// TestWatch: a watcher is told the first and the newest status, and sees that
// nobody leads any more.
func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := w.desk(w.client, &fake{})
	d.Publish(at(commitA))
	enough := errors.New("enough")
	seen := make(chan Report, 10)
	ended := make(chan error, 1)
	go func() {
		ended <- w.reader().Watch(t.Context(), func(r Report) error {
			seen <- r
			if r.Status.Commit == commitB {
				return enough
			}
			return nil
		})
	}()
	if r := <-seen; r.Status.Commit != commitA || r.Leader == nil || r.Leader.Alive() || !strings.Contains(r.Leader.String(), "no reconciler runs") {
		t.Errorf("%+v", r)
	}
	d.Publish(at(commitB))
	if err := <-ended; !errors.Is(err, enough) {
		t.Error(err)
	}
}

// TestNoAnswer: an API server that is away is said to be away, soon.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	config := &rest.Config{Host: "http://127.0.0.1:1"}
	config.Wrap(func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded })
	})
	client, err := NewClient(config)
	must(t, err)
	r := Reader{Client: client, Namespace: "n", Name: "n"}
	if _, err := r.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Error(err)
	}
}

// TestConfig: a kubeconfig's context has the namespace, if it names one.
func TestConfig(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"a","clusters":[{"name":"c","cluster":{"server":"https://example.org"}}],
	  "contexts":[{"name":"a","context":{"cluster":"c","user":"u"}},{"name":"b","context":{"cluster":"c","user":"u","namespace":"cams"}}],"users":[{"name":"u","user":{"token":"t"}}]}`
	must(t, os.WriteFile(path, []byte(text), 0o600))
	for _, c := range []struct{ kubeconfig, env, context, namespace, failure string }{
		{path, "", "", "", ""}, {path, "", "b", "cams", ""}, {"", path, "b", "cams", ""}, {"", path, "", "", ""},
		{path, "", "nobody", "", "nobody"}, {filepath.Join(dir, "none"), "", "", "", "none"},
	} {
		t.Setenv(clientcmd.RecommendedConfigPathEnvVar, c.env)
		config, namespace, err := Config(c.kubeconfig, c.context)
		if c.failure != "" {
			if err == nil || !strings.Contains(err.Error(), c.failure) {
				t.Errorf("%+v: %v", c, err)
			}
			continue
		}
		if err != nil || config.Host != "https://example.org" || namespace != c.namespace {
			t.Errorf("%+v: %v %q %v", c, config, namespace, err)
		}
	}
}

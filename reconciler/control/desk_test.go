package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/reconciler/status"
)

func TestOrders(t *testing.T) {
	t.Parallel()
	w, f := newWorld(t), &fake{}
	w.desk(w.client, f)
	w.until("it is told that it is not suspended", func() bool { return f.all() == "resume" })
	w.annotate(AnnotationSuspend, "the disk is being changed")
	w.until("it is suspended", func() bool { return strings.HasSuffix(f.all(), "suspend the disk is being changed") })
	f.mu.Lock()
	f.fail = errors.New("the notes cannot be written")
	f.mu.Unlock()
	w.annotate(AnnotationSuspend, nil)
	w.until("what failed was tried again", func() bool { return strings.HasSuffix(f.all(), "resume failed, resume") })
	w.annotate(AnnotationWake, "2026-11-24T00:00:00Z")
	w.until("it wakes", func() bool { return strings.HasSuffix(f.all(), "wake") })
	w.annotate("somebody.else/wrote", "something")
	w.annotate(AnnotationWake, "2026-11-24T00:00:01Z")
	w.until("it wakes again", func() bool { return strings.HasSuffix(f.all(), "resume, wake, wake") })
}

// TestSuspendedFromTheStart: what the annotation says while no reconciler runs
// holds from the moment at which one reads its notes, and so does its absence.
func TestSuspendedFromTheStart(t *testing.T) {
	t.Parallel()
	w, f := newWorld(t), &fake{}
	d, stop := w.desk(w.client, f)
	type notes struct {
		Approved  string             `json:"approved"`
		Suspended *status.Suspension `json:"suspended"`
	}
	if err := d.WriteNotes(notes{Approved: commitA}); err != nil {
		t.Fatal(err)
	}
	stop()
	w.annotate(AnnotationSuspend, "holidays")
	read := func() (n notes) {
		t.Helper()
		d := &Desk{Client: w.client, Namespace: w.namespace, Name: DefaultName}
		if err := errors.Join(d.Open(t.Context()), d.ReadNotes(&n)); err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := read()
	if n.Approved != commitA || n.Suspended == nil || n.Suspended.Reason != "holidays" || time.Since(n.Suspended.Since) > time.Minute {
		t.Errorf("notes %+v", n)
	}
	if err := d.WriteNotes(n); err != nil {
		t.Fatal(err)
	}
	w.annotate(AnnotationSuspend, nil)
	if n := read(); n.Approved != commitA || n.Suspended != nil {
		t.Errorf("notes %+v", n)
	}
	w.annotate(AnnotationSuspend, "")
	err := patch(t.Context(), w.client, w.namespace, DefaultName, "vandal", map[string]any{"data": map[string]any{KeyNotes: `{"approved": "`}})
	if err != nil {
		t.Fatal(err)
	}
	if n := read(); n.Approved != "" || n.Suspended == nil {
		t.Errorf("damaged notes are read as %+v", n)
	}
}

// TestNotesMeetPeople: somebody annotates the ConfigMap between reading and writing it.
func TestNotesMeetPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, _ := w.desk(w.client, &fake{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 30 {
			_ = patch(t.Context(), w.client, w.namespace, DefaultName, "kubectl", map[string]any{
				"metadata": map[string]any{"annotations": map[string]any{"n": time.Now().String()}},
			})
		}
	}()
	for i := range 20 {
		if err := d.WriteNotes(map[string]any{"base": i}); err != nil {
			t.Fatal(err)
		}
	}
	<-done
	if got := w.get(DefaultName).Data[KeyNotes]; got != `{"base":19}` {
		t.Errorf("notes %s", got)
	}
}

// TestDeletedByMistake: the ConfigMap comes back, with its notes, and suspended as it was.
func TestDeletedByMistake(t *testing.T) {
	t.Parallel()
	w, f := newWorld(t), &fake{}
	d, _ := w.desk(w.client, f)
	if err := d.WriteNotes(map[string]string{"approved": commitA}); err != nil {
		t.Fatal(err)
	}
	w.annotate(AnnotationSuspend, "careful")
	w.until("it is suspended", func() bool { return strings.HasSuffix(f.all(), "suspend careful") })
	was := w.get(DefaultName).UID
	if err := w.client.Core.ConfigMaps(w.namespace).Delete(t.Context(), DefaultName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.until("it is made again", func() bool {
		cm, err := w.client.Core.ConfigMaps(w.namespace).Get(t.Context(), DefaultName, metav1.GetOptions{})
		return err == nil && cm.UID != was && strings.Contains(cm.Data[KeyNotes], commitA)
	})
	if err := w.client.Core.ConfigMaps(w.namespace).Delete(t.Context(), DefaultName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteNotes(map[string]string{"approved": commitB}); err != nil { // faster than the watch, perhaps
		t.Fatal(err)
	}
	w.annotate(AnnotationWake, "now")
	w.until("it listens again", func() bool { return strings.HasSuffix(f.all(), "wake") })
	if got := w.get(DefaultName).Annotations[AnnotationSuspend]; got != "careful" || strings.Count(f.all(), "resume") != 1 {
		t.Errorf("annotation %q, told: %s", got, f.all())
	}
}

func (w *world) answer() status.Condition {
	w.Helper()
	var all []status.Condition
	if err := json.Unmarshal([]byte(w.get(StatusName(DefaultName)).Data[KeyConditions]), &all); err != nil {
		return status.Condition{}
	}
	i := slices.IndexFunc(all, func(c status.Condition) bool { return c.Type == conditionApproved })
	if i < 0 {
		return status.Condition{}
	}
	return all[i]
}

func TestApproval(t *testing.T) {
	t.Parallel()
	w, f := newWorld(t), &fake{}
	d, _ := w.desk(w.client, f)
	held := at(commitA)
	held.State, held.Held = status.Held, []engine.Change{{Action: engine.Held, ID: object.ID{Kind: "Pod", Name: "camera-north"}}}
	d.Publish(held)

	w.annotate(AnnotationApprove, "please")
	w.until("it is told that this is no commit", func() bool { return w.answer().Reason == "NotACommit" })
	w.annotate(AnnotationApprove, commitB[:9])
	w.until("it is told that this is another commit", func() bool { return w.answer().Reason == "NotNewest" })
	w.until("there are Events", func() bool { return strings.Count(w.events(), "Warning") == 2 })
	if e := w.events(); !strings.Contains(e, `"please" is not a commit`) || !strings.Contains(e, "bbbbbbbbb is not the newest") || strings.Contains(f.all(), "approve") {
		t.Errorf("events:\n%s\ntold: %s", e, f.all())
	}
	next := held
	next.Commit = commitB // an approval may come before the commit is read
	d.Publish(next)
	w.until("it is approved", func() bool { return strings.HasSuffix(f.all(), "approve "+commitB) && w.answer().Status == "True" })
	next.Held = nil
	d.Publish(next)
	d.Publish(next)
	w.until("that is seen", func() bool { return w.status().State == status.Held && len(w.status().Held) == 0 })
	if n := strings.Count(f.all(), "approve"); n != 1 {
		t.Errorf("approved %d times", n)
	}
	d.Publish(held) // back to the other commit: the approval is over
	w.until("the annotation is gone", func() bool { _, ok := w.get(DefaultName).Annotations[AnnotationApprove]; return !ok })
	w.until("nothing is said of it any more", func() bool { return w.answer().Type == "" })
	d.Publish(next)
	w.annotate(AnnotationApprove, commitB)
	w.until("nothing is held", func() bool { return w.answer().Reason == "NothingHeld" })
	if n := strings.Count(f.all(), "approve"); n != 1 {
		t.Errorf("approved %d times", n)
	}
}

func TestApprovalThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := &fake{}
	d, _ := w.desk(w.client, f)
	w.until("it listens", func() bool { return f.all() == "resume" })
	f.mu.Lock()
	f.fail = errors.New("the notes cannot be written")
	f.mu.Unlock()
	s := at(commitA)
	s.Held = make([]engine.Change, 2)
	d.Publish(s)
	w.annotate(AnnotationApprove, commitA)
	w.until("it was tried again", func() bool { return strings.HasSuffix(f.all(), "approve "+commitA+" failed, approve "+commitA) })
	w.until("both are told", func() bool {
		e := w.events()
		return strings.Contains(e, "Warning ApprovalFailed: the notes cannot be written") && strings.Contains(e, "Normal ApprovalApproved: 3 changes")
	})
}

func (w *world) status() status.Status {
	w.Helper()
	s, err := unpack(w.get(StatusName(DefaultName)).BinaryData[KeyStatus])
	if err != nil {
		return status.Status{}
	}
	return s
}

// TestPublish: the first is written at once, the newest of many a little later,
// and nothing at all while nothing new is said.
func TestPublish(t *testing.T) {
	t.Parallel()
	w, c := newWorld(t), &traffic{}
	d, stop := w.desk(w.through(c.wrap), &fake{})
	d.Publish(at(commitA))
	w.until("the first is written", func() bool { return w.status().Commit == commitA })
	for i := range 200 {
		s := at(commitA)
		s.Summary = strings.Repeat("x", i+1)
		d.Publish(s)
	}
	w.until("the newest is written", func() bool { return len(w.status().Summary) == 200 })
	patches := func() (n int) {
		for _, r := range c.take() {
			if r == "PATCH camfleet-status" {
				n++
			}
		}
		return n
	}
	if n := patches(); n < 2 || n > 4 {
		t.Errorf("%d writes for 201 statuses in a moment", n)
	}
	quiet := at(commitA)
	quiet.Summary = strings.Repeat("x", 200)
	ticks := time.NewTicker(d.Every / 4)
	defer ticks.Stop()
	for i := range 12 { // three times as long as the pause between writes
		quiet.Fetched, quiet.Synced = time.Unix(int64(i), 0), time.Unix(int64(i), 0)
		d.Publish(quiet)
		<-ticks.C
	}
	if said := c.take(); len(said) > 0 {
		t.Errorf("a steady state asks %v", said)
	}
	stop()
	again, _ := w.desk(w.through(c.wrap), &fake{}) // another leader
	c.take()
	again.Publish(quiet)
	quiet.Subject = "another"
	w.until("nothing is left to do", func() bool { return len(again.offered) == 0 })
	if n := patches(); n != 0 {
		t.Errorf("a new leader wrote %d times what was there", n)
	}
	again.Publish(quiet)
	w.until("it writes", func() bool { return w.status().Subject == "another" })
	cm := w.get(StatusName(DefaultName))
	if cm.Labels["app.kubernetes.io/part-of"] != "camfleet" || !strings.Contains(cm.Data[KeySummary], "1 cameras: 1 live") {
		t.Errorf("labels %v, summary:\n%s", cm.Labels, cm.Data[KeySummary])
	}
}

// TestTermsAreApart: a leader that comes back does not report what it last
// thought over what another has reported since.
func TestTermsAreApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, stopA := w.desk(w.client, &fake{})
	a.Publish(at(commitA))
	w.until("a reports", func() bool { return w.status().Commit == commitA })
	stopA()
	a.Publish(at("old")) // between two terms
	b, stopB := w.desk(w.client, &fake{})
	b.Publish(at(commitB))
	w.until("b reports", func() bool { return w.status().Commit == commitB })
	stopB()
	if err := a.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*a.Every)
	defer cancel()
	if err := a.Run(ctx); err != nil {
		t.Error(err)
	}
	if got := w.status().Commit; got != commitB {
		t.Errorf("a came back and reported %s", got)
	}
}

// TestOpenInsists: an API server that is just starting is waited for; one that
// says no is believed.
func TestOpenInsists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var n atomic.Int64
	d := &Desk{Namespace: w.namespace, Name: DefaultName, Log: w.log(), Client: w.through(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if n.Add(1) <= 2 {
				return nil, syscall.ECONNREFUSED
			}
			return next.RoundTrip(r)
		})
	})}
	if err := d.Open(t.Context()); err != nil || n.Load() < 4 {
		t.Errorf("%v after %d requests", err, n.Load())
	}
	d.Namespace = "camfleet-not-there"
	if err := d.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "camfleet-not-there") {
		t.Errorf("without a namespace: %v", err)
	}
	guard := &Guard{}
	d = &Desk{Namespace: w.namespace, Name: "other", Client: w.through(guard.Wrap)}
	if err := d.Open(t.Context()); !errors.Is(err, ErrNotLeader) {
		t.Errorf("without the lease: %v", err)
	}
}

// TestTwoInOneNamespace: a second reconciler with another name has its own
// orders, notes, report and lease.
func TestTwoInOneNamespace(t *testing.T) {
	t.Parallel()
	w, f, g := newWorld(t), &fake{}, &fake{}
	first, _ := w.desk(w.client, f)
	second, _ := w.named("camfleet-two", w.client, g)
	w.until("both were told that they are not suspended", func() bool { return f.all() == "resume" && g.all() == "resume" })
	first.Publish(at(commitA))
	second.Publish(at(commitB))
	if err := errors.Join(first.WriteNotes(map[string]string{"approved": commitA}), second.WriteNotes(map[string]string{"approved": commitB})); err != nil {
		t.Fatal(err)
	}
	other := Reader{Client: w.client, Namespace: w.namespace, Name: "camfleet-two"}
	for commit, r := range map[string]Reader{commitA: w.reader(), commitB: other} {
		w.until("its own status is there", func() bool { report, err := r.Status(t.Context()); return err == nil && report.Status.Commit == commit })
		if notes := w.get(r.Name).Data[KeyNotes]; !strings.Contains(notes, commit) {
			t.Errorf("%s noted %s", r.Name, notes)
		}
	}
	if err := other.Suspend(t.Context(), "only this one"); err != nil {
		t.Fatal(err)
	}
	w.until("the other one is suspended", func() bool { return strings.HasSuffix(g.all(), "suspend only this one") })
	if f.all() != "resume" {
		t.Errorf("the first one was told: %s", f.all())
	}
	led := make(chan string, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 2)
	for _, name := range []string{DefaultName, "camfleet-two"} {
		go func() {
			done <- Lead(ctx, LeadOptions{Client: w.client, Namespace: w.namespace, Name: name, Identity: "the same Pod", Lease: 2 * time.Second},
				func(ctx context.Context) error { led <- name; <-ctx.Done(); return nil })
		}()
	}
	<-led
	<-led // neither waits for the other
	cancel()
	if err := errors.Join(<-done, <-done); err != nil {
		t.Error(err)
	}
}

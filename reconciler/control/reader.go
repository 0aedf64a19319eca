package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"camfleet.dev/reconciler/status"
)

// Reader is the side of people and of standbys: it reads what the reconciler
// reports, and gives orders with the rights that it was given.
type Reader struct {
	Client          *Client
	Namespace, Name string
}

// Report is what a reconciler says of itself, and whether it still does.
type Report struct {
	Status status.Status
	Leader *Leader // nil when it may not be read
}

// Leader is the replica that holds the lease.
type Leader struct {
	Identity string    // "" when nobody leads
	Renewed  time.Time // by the leader's clock
	Age      time.Duration
	Lease    time.Duration
}

// Alive tells whether somebody leads, as far as one look at two clocks can tell.
func (l Leader) Alive() bool { return l.Identity != "" && l.Age < l.Lease+5*time.Second }

// String says it in words.
func (l Leader) String() string {
	switch {
	case l.Identity == "":
		return "nobody leads: no reconciler runs"
	case !l.Alive():
		return fmt.Sprintf("%s led, and was last heard of %s ago: no reconciler runs", l.Identity, l.Age.Round(time.Second))
	}
	return l.Identity
}

// Status reads how things are. Who leads takes another right to read, and is
// left out without it.
func (r Reader) Status(ctx context.Context) (Report, error) {
	cm, err := r.get(ctx, StatusName(r.Name))
	if err != nil {
		return Report{}, r.explain("read", StatusName(r.Name), err)
	}
	return r.report(ctx, cm)
}

// errNothingYet is why there is no status although there is a place for it.
var errNothingYet = errors.New("the reconciler has not reported anything yet; try again in a moment, or look at its log")

func (r Reader) report(ctx context.Context, cm *corev1.ConfigMap) (Report, error) {
	data, ok := cm.BinaryData[KeyStatus]
	if !ok {
		return Report{}, errNothingYet
	}
	s, err := unpack(data)
	if err != nil {
		return Report{}, fmt.Errorf("ConfigMap %s/%s: %w", cm.Namespace, cm.Name, err)
	}
	leader, err := r.leads(ctx)
	if apierrors.IsForbidden(err) {
		return Report{Status: s}, nil
	}
	return Report{Status: s, Leader: &leader}, err
}

// Leader reads who holds the lease; nobody does when there is none.
func (r Reader) Leader(ctx context.Context) (Leader, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	lease, err := r.Client.Leases.Leases(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return Leader{}, nil
	}
	if err != nil {
		return Leader{}, fmt.Errorf("reading Lease %s/%s: %w", r.Namespace, r.Name, err)
	}
	var l Leader
	if lease.Spec.HolderIdentity != nil {
		l.Identity = *lease.Spec.HolderIdentity
	}
	if lease.Spec.RenewTime != nil {
		l.Renewed = lease.Spec.RenewTime.UTC()
		l.Age = max(0, time.Since(l.Renewed))
	}
	if lease.Spec.LeaseDurationSeconds != nil {
		l.Lease = time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second
	}
	return l, nil
}

// leads is Leader, which is asked again when the lease looks old: it may be the
// clocks that differ, and a lease that is renewed meanwhile is held.
func (r Reader) leads(ctx context.Context) (Leader, error) {
	first, err := r.Leader(ctx)
	if err != nil || first.Identity == "" || first.Alive() {
		return first, err
	}
	began := time.Now()
	timer := time.NewTimer(first.Lease/3 + time.Second)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return first, nil
	}
	again, err := r.Leader(ctx)
	if err == nil && !again.Renewed.Equal(first.Renewed) {
		again.Age = time.Since(began) // at most
	}
	return again, err
}

// Watch calls f with the report as it is and whenever it changes, until ctx ends
// or f returns an error, which it returns.
func (r Reader) Watch(ctx context.Context, f func(Report) error) error {
	if _, err := r.Status(ctx); err != nil && !errors.Is(err, errNothingYet) {
		return err // a watch would try for ever
	}
	arrived := make(chan *corev1.ConfigMap, 1)
	stop, err := follow(ctx, r.Client, r.Namespace, StatusName(r.Name), slog.New(slog.DiscardHandler),
		func(cm *corev1.ConfigMap) { put(arrived, cm) })
	if err != nil {
		return err
	}
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case cm := <-arrived:
			if cm == nil {
				continue // it will be made again
			}
			report, err := r.report(ctx, cm)
			if errors.Is(err, errNothingYet) {
				continue
			}
			if err == nil {
				err = f(report)
			}
			if err != nil {
				return err
			}
		}
	}
}

// Approve lets the held changes of a commit happen: the newest commit, by its
// hash or the beginning of it. It returns the whole hash, and how many there are.
// Who may not read the status must give the whole hash, and learns no number.
func (r Reader) Approve(ctx context.Context, commit string) (string, int, error) {
	commit = strings.ToLower(strings.TrimSpace(commit))
	if !commits.MatchString(commit) {
		return "", 0, fmt.Errorf("%q is not a commit: give its hash, or at least 7 digits of it", clip(commit, 80))
	}
	held := 0
	report, err := r.Status(ctx)
	switch {
	case apierrors.IsForbidden(err) && len(commit) >= 40:
	case err != nil:
		return "", 0, err
	case !strings.HasPrefix(report.Status.Commit, commit):
		return "", 0, fmt.Errorf("commit %s is not the newest one, which is %s: look at camfleet status, and approve that one if it is right",
			short(commit), short(report.Status.Commit))
	case len(report.Status.Held) == 0:
		return "", 0, fmt.Errorf("commit %s: nothing is held", short(commit))
	default:
		commit, held = report.Status.Commit, len(report.Status.Held)
	}
	return commit, held, r.annotate(ctx, AnnotationApprove, commit)
}

// maxReason is the longest reason for a suspension.
const maxReason = 1000

// Suspend stops applying. What runs goes on.
func (r Reader) Suspend(ctx context.Context, reason string) error {
	return r.annotate(ctx, AnnotationSuspend, clip(strings.TrimSpace(reason), maxReason))
}

// Resume ends a suspension. It is no error when there is none.
func (r Reader) Resume(ctx context.Context) error { return r.annotate(ctx, AnnotationSuspend, nil) }

// Wake makes the reconciler look at its source now, whichever replica leads.
func (r Reader) Wake(ctx context.Context) error {
	return r.annotate(ctx, AnnotationWake, time.Now().UTC().Format(time.RFC3339Nano))
}

// annotate sets an annotation of the ConfigMap, or takes it away (nil).
func (r Reader) annotate(ctx context.Context, key string, value any) error {
	err := patch(ctx, r.Client, r.Namespace, r.Name, "camfleet-cli", map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{key: value}},
	})
	return r.explain("change", r.Name, err)
}

func (r Reader) get(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return r.Client.Core.ConfigMaps(r.Namespace).Get(ctx, name, metav1.GetOptions{})
}

// explain says what to do about an error.
func (r Reader) explain(verb, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		role := "camfleet-viewer"
		if verb == "change" {
			role = "camfleet-operator"
		}
		return fmt.Errorf("you may not %s ConfigMap %s in namespace %s: you need the role %s there; who may give it runs: "+
			"kubectl create rolebinding NAME --clusterrole=%s --user=YOU -n %s (%w)", verb, name, r.Namespace, role, role, r.Namespace, err)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("there is no reconciler named %s in namespace %s: --name and --namespace say which one is meant, and "+
			"kubectl get configmap -A -l app.kubernetes.io/part-of=camfleet lists them (%w)", r.Name, r.Namespace, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the cluster does not know you: log in again, or name another context with --context (%w)", err)
	case errors.Is(err, io.EOF), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the cluster does not answer: %w", err)
	}
	return fmt.Errorf("cannot %s ConfigMap %s/%s: %w", verb, r.Namespace, name, err)
}

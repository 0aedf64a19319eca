package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"camfleet.dev/reconciler/status"
)

// Orders are what people can say to a reconciler. Every field may be nil. What
// fails is tried again.
type Orders struct {
	// Approve lets the held changes of a commit happen: the newest commit, by
	// its whole hash. It returns how many there are.
	Approve func(commit string) (int, error)
	// Suspend stops applying, Resume goes on. Both may be called although
	// nothing changes by it.
	Suspend func(reason string) error
	Resume  func() error
	// Wake looks at the source now.
	Wake func()
}

// Desk is the leader's side of the ConfigMaps. Its exported fields are set
// before Open, and not changed afterwards. Only a leader opens it, and again in
// each of its terms: its writes go through the leader's Guard.
//
// It keeps a reconciler's notes, too. Their key "suspended" is what the
// annotation says when they are read, whatever was noted: so a reconciler that
// starts is suspended from its first moment, and a resumed one is not.
type Desk struct {
	Client          *Client // with the Guard in front of it
	Namespace, Name string
	Orders          Orders
	// Every is the shortest time between two writes of the status; 0 means 5 s.
	// Another commit or state, or a problem, waits for a fifth of it only.
	Every time.Duration
	Log   *slog.Logger

	arrived chan *corev1.ConfigMap // the newest, to Run
	read    chan struct{}          // gets a value when notes were read: orders are obeyed from then on

	mu      sync.Mutex
	offered chan struct{}     // there is a newer status
	newest  *status.Status    // as it was published last
	keep    map[string]string // annotations that the ConfigMap has when it must be made again

	// Of the goroutine of Open and, later, of Run.
	orders  *corev1.ConfigMap // as last seen
	told    told
	written string // the status that is in the ConfigMap, before it was packed
	matter  matter // of it
}

const (
	hurry          = 5 // how much sooner what matters is written
	defaultEvery   = 5 * time.Second
	requestTimeout = 10 * time.Second
)

func labels() map[string]string {
	return map[string]string{"app.kubernetes.io/name": "camfleet", "app.kubernetes.io/part-of": "camfleet"}
}

// Open creates the ConfigMaps if they are missing. A reconciler reads its notes
// after that, and Run obeys orders once it has.
func (d *Desk) Open(ctx context.Context) error {
	if d.Every <= 0 {
		d.Every = defaultEvery
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	d.arrived, d.read = make(chan *corev1.ConfigMap, 1), make(chan struct{}, 1)
	report, err := d.insist(ctx, StatusName(d.Name))
	if err != nil {
		return err
	}
	cm, err := d.insist(ctx, d.Name)
	if err != nil {
		return err
	}
	d.see(cm)
	d.written, d.matter = stored(report)
	d.told = told{wake: cm.Annotations[AnnotationWake]} // it begins by looking anyway
	d.mu.Lock()
	defer d.mu.Unlock()
	d.offered, d.newest = make(chan struct{}, 1), nil // what is left of another term is old
	return nil
}

// insist is ensure, tried until the API server says what cannot pass by itself:
// the start of a reconciler is no reason to end because something else starts, too.
func (d *Desk) insist(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	for {
		cm, err := d.ensure(ctx, name)
		if err == nil || ctx.Err() != nil || apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsInvalid(err) || errors.Is(err, ErrNotLeader) {
			return cm, err
		}
		d.Log.Warn("it is tried again", "error", err)
		timer := time.NewTimer(time.Second)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
	}
}

// ensure returns a ConfigMap, which it creates if it must: suspended if it was.
func (d *Desk) ensure(ctx context.Context, name string) (*corev1.ConfigMap, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	api := d.Client.Core.ConfigMaps(d.Namespace)
	cm, err := api.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		cm = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels()}}
		if name == d.Name {
			d.mu.Lock()
			cm.Annotations = maps.Clone(d.keep)
			d.mu.Unlock()
		}
		if cm, err = api.Create(ctx, cm, metav1.CreateOptions{FieldManager: manager}); apierrors.IsAlreadyExists(err) {
			cm, err = api.Get(ctx, name, metav1.GetOptions{})
		}
	}
	if err != nil {
		return nil, d.explain("open", name, err)
	}
	return cm, nil
}

// Run obeys orders as they come, and writes the status, until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	stop, err := follow(ctx, d.Client, d.Namespace, d.Name, d.Log, func(cm *corev1.ConfigMap) { put(d.arrived, cm) })
	if err != nil {
		return err
	}
	defer stop()
	pause, last := time.NewTimer(d.Every), time.Time{}
	defer pause.Stop()
	listening, gone, free, news, pausing := false, false, true, false, true
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.read:
			listening = true
		case cm := <-d.arrived:
			news = true // what an order came to is part of the report
			if gone = cm == nil; !gone {
				d.see(cm)
			}
		case <-d.offered:
			news = true
		case <-pause.C:
			free, pausing, news = true, false, true
		}
		if gone {
			gone = !d.remake(ctx)
		}
		busy, wrote := gone || listening && !d.obey(ctx), false
		if soon := last.Add(d.Every / hurry); news && !free && d.matters() {
			if free = time.Now().After(soon); !free {
				pause.Reset(time.Until(soon))
			}
		}
		if news && free {
			if wrote, news = d.report(ctx); wrote {
				free, last = false, time.Now()
			}
		}
		if wrote || busy && !pausing { // not at every turn: somebody may publish all the time
			pause.Reset(d.Every)
			pausing = true
		}
	}
}

// put replaces what nobody has taken yet.
func put[T any](c chan T, v T) {
	for {
		select {
		case c <- v:
			return
		default:
		}
		select {
		case <-c:
		default:
		}
	}
}

// see takes up the ConfigMap as it is now.
func (d *Desk) see(cm *corev1.ConfigMap) {
	d.orders = cm
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep = nil
	if reason, ok := cm.Annotations[AnnotationSuspend]; ok {
		d.keep = map[string]string{AnnotationSuspend: reason}
	}
}

// remake makes the ConfigMap again that somebody has deleted, with its notes.
// It stays suspended: deleting it is no way to go on. It returns false when
// that has to be tried again.
func (d *Desk) remake(ctx context.Context) bool {
	cm, err := d.ensure(ctx, d.Name)
	if was := d.orders.Data[KeyNotes]; err == nil && cm.Data[KeyNotes] == "" && was != "" {
		err = d.note(ctx, was)
	}
	if err != nil {
		d.Log.Error("the ConfigMap was deleted, and cannot be made again; it is tried again", "configmap", d.Name, "error", err)
		return false
	}
	d.Log.Warn("the ConfigMap was deleted; it is there again", "configmap", d.Name, "uid", cm.UID)
	d.see(cm)
	return true
}

// patch is a JSON merge patch.
func (d *Desk) patch(ctx context.Context, name string, body any) error {
	return patch(ctx, d.Client, d.Namespace, name, manager, body)
}

func patch(ctx context.Context, client *Client, namespace, name, manager string, body any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding a patch: %w", err)
	}
	_, err = client.Core.ConfigMaps(namespace).Patch(ctx, name, types.MergePatchType, text, metav1.PatchOptions{FieldManager: manager})
	return err
}

func (d *Desk) explain(verb, name string, err error) error {
	return fmt.Errorf("cannot %s ConfigMap %s/%s: %w", verb, d.Namespace, name, err)
}

package control

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"
)

// follow calls f with one ConfigMap, as it is and whenever it changes; with nil
// when it is deleted. f is called from another goroutine and must not block.
// The function that it returns ends it, and waits for its end.
func follow(ctx context.Context, client *Client, namespace, name string, log *slog.Logger, f func(*corev1.ConfigMap)) (func(), error) {
	source := cache.NewListWatchFromClient(client.Core.RESTClient(), "configmaps", namespace, fields.OneTermEqualSelector(metav1.ObjectNameField, name))
	informer := cache.NewSharedIndexInformer(source, &corev1.ConfigMap{}, 0, cache.Indexers{})
	err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		log.Warn("a ConfigMap cannot be watched; it is tried again", "configmap", name, "error", err)
	})
	if err != nil {
		return nil, fmt.Errorf("watching ConfigMap %s/%s: %w", namespace, name, err)
	}
	give := func(obj any) {
		if cm, ok := obj.(*corev1.ConfigMap); ok {
			f(cm)
		}
	}
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: give, UpdateFunc: func(_, obj any) { give(obj) }, DeleteFunc: func(any) { f(nil) },
	})
	if err != nil {
		return nil, fmt.Errorf("watching ConfigMap %s/%s: %w", namespace, name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { informer.RunWithContext(ctx) })
	return func() { cancel(); running.Wait() }, nil
}

package reconciler

import "testing"

// TestToldIsForgotten: what was told hangs on to nothing, however long the queue
// once was. A function may hold a whole commit.
func TestToldIsForgotten(t *testing.T) {
	t.Parallel()
	tell := teller{more: make(chan struct{}, 1)}
	told := 0
	for range 100 {
		tell.later(func() { told++ })
	}
	all := tell.queue
	tell.drain()
	for i, f := range all {
		if f != nil {
			t.Fatalf("function %d of %d is still held", i, len(all))
		}
	}
	if told != len(all) {
		t.Errorf("%d of %d were told", told, len(all))
	}
}

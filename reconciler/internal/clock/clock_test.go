package clock_test

import (
	"context"
	"testing"
	"time"

	"camfleet.dev/reconciler/internal/clock"
)

func TestFake(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)
	f := clock.NewFake(start)
	done := make(chan bool, 2)
	go func() { done <- clock.Sleep(t.Context(), f, time.Minute) }()
	if err := f.Waiting(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if d, ok := f.Next(); !ok || d != time.Minute {
		t.Fatalf("next is %v", d)
	}
	f.Advance(time.Second)
	if d, _ := f.Next(); d != 59*time.Second {
		t.Fatalf("next is %v", d)
	}
	f.Advance(time.Hour)
	if !<-done {
		t.Fatal("it did not sleep")
	}
	if got := f.Now().Sub(start); got != time.Hour+time.Second {
		t.Fatalf("%v passed", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- clock.Sleep(ctx, f, time.Minute) }()
	if err := f.Waiting(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if <-done {
		t.Fatal("it slept on")
	}
	if err := f.Waiting(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Next(); ok {
		t.Fatal("somebody still waits")
	}
	if clock.Sleep(ctx, clock.Real{}, time.Hour) {
		t.Fatal("it slept in a context that had ended")
	}
	if !clock.Sleep(t.Context(), clock.Real{}, time.Microsecond) || clock.Real.Now(clock.Real{}).IsZero() {
		t.Fatal("the real clock stands still")
	}
}

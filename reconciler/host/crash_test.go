package host

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/engine"
	"camfleet.dev/schema"
)

// churned is the n-th fleet of a history in which cameras come, change and go.
func churned(n int) *object.Result {
	var cameras []schema.WorkerCamera
	for i := range 8 {
		if (n+i)%3 != 0 {
			c := testCamera("gate", fmt.Sprintf("c%d", i))
			c.URL = fmt.Sprintf("rtsp://192.0.2.1/%d", (n+i)%5)
			cameras = append(cameras, c)
		}
	}
	return fleet(cameras...)
}

// churn is a process that rolls out one fleet after another until it is killed.
func churn(state string) {
	h, err := Open(Options{State: state, Worker: []string{os.Args[0]}, Env: []string{fakeEnv + "=ok"}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go h.Run(context.Background()) //nolint:errcheck // it ends with the process
	fmt.Println("begins")
	for n := 0; ; n++ {
		r := churned(n)
		live, _ := h.List(context.Background(), r.Fleet.UID)
		engine.Applier{Cluster: h}.Apply(context.Background(), engine.Plan(r, live, engine.Options{Commit: "c", Approved: "c"}))
	}
}

// TestKilledWhileRollingOut kills a host with SIGKILL at random moments of its
// rollouts. Every time, each object on disk is whole and one that some commit
// wanted, and the next host converges.
func TestKilledWhileRollingOut(t *testing.T) {
	t.Parallel()
	state := filepath.Join(t.TempDir(), "state")
	known := map[object.ID][]string{}
	for n := range 15 {
		for _, o := range churned(n).Objects {
			known[o.ID] = append(known[o.ID], string(o.Body))
		}
	}
	for round := range 12 {
		cmd := exec.Command(os.Args[0], state)
		cmd.Env = []string{fakeEnv + "=churn"}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "begins\n" {
			t.Fatalf("%q %v", line, err)
		}
		<-time.After(time.Duration(rand.IntN(60)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed

		lines, log := newLogs()
		h, err := Open(Options{State: state, Worker: []string{os.Args[0]}, Env: []string{fakeEnv + "=ok"}, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		objects, _ := h.store.all()
		for _, o := range objects {
			if !slices.Contains(known[o.ID], string(o.Body)) {
				t.Fatalf("round %d: %s is %s", round, o.ID, o.Body)
			}
		}
		apply(t, h, churned(round))
		if got := apply(t, h, churned(round)).Counts(); len(got) != 1 || got[engine.Unchanged] == 0 {
			t.Fatalf("round %d: %v", round, got)
		}
		select {
		case line := <-lines:
			t.Fatalf("round %d: %s", round, line)
		default:
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

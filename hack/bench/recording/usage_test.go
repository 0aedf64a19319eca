package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestUsageOfThisProcess(t *testing.T) {
	t.Parallel()
	var u usage
	pids := []int{os.Getpid()}
	if err := u.begin(pids); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for time.Since(began) < 100*time.Millisecond { // burn some CPU
	}
	if err := u.sampleMemory(pids); err != nil {
		t.Fatal(err)
	}
	if err := u.end(pids, time.Since(began), 2); err != nil {
		t.Fatal(err)
	}
	if u.cpu <= 0 || u.rss <= 0 || u.pss <= 0 || u.pss > u.rss || u.peak < u.rss {
		t.Errorf("usage %+v", u)
	}
	if _, err := cpuTime([]int{1 << 30}); err == nil {
		t.Error("a process that is not there has a CPU time")
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	err := report(&b, []result{{20, usage{cpu: 3, rss: 4, pss: 4, peak: 4}, usage{cpu: 6, rss: 52, pss: 16, peak: 52}}})
	if err != nil || !strings.Contains(b.String(), "0.50") || !strings.Contains(b.String(), "1/13.0") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--cameras", "x", "--worker", "/bin/true", "--cache", "/dev/null/x"}, {"--nonsense"}, {"serve", "--clip", "/nowhere"}} {
		if err := run(t.Context(), args, &strings.Builder{}); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

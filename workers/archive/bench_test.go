package archive

import (
	"context"
	"slices"
	"testing"
	"time"
)

// BenchmarkCommit records segments of 1 MB (2 s of 4 Mbit/s) with all that makes
// them durable, and reports the median and the 95th percentile of a commit.
func BenchmarkCommit(b *testing.B) {
	benchmarkCommit(b, OS{}, b.TempDir())
}

// BenchmarkCommitNoSync is the same in memory: what is left is our own work.
func BenchmarkCommitNoSync(b *testing.B) {
	benchmarkCommit(b, OS{}, memoryDir(b))
}

func benchmarkCommit(b *testing.B, fsys FS, dir string) {
	at := newBenchIn(b, dir)
	at.o.FS, at.o.Policy = fsys, Policy{Segments: Limits{Bytes: 200 << 20}}
	at.open()
	bufs := fragment(1 << 20)
	took := make([]time.Duration, 0, b.N)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		s, err := at.w.Create(at.clock.now)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.WriteBuffers(bufs); err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		if err := s.Commit(Entry{Duration: twoSeconds, Frames: 50}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		at.clock.advance(2 * time.Second)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds()), "p95-µs")
}

// BenchmarkOpen starts on an archive of a week, with a segment every 2 s.
func BenchmarkOpen(b *testing.B) {
	at := newBenchIn(b, memoryDir(b))
	at.o.Policy = Policy{MinFree: -1}
	at.open()
	for range 4 { // hours; older ones are left for later anyway
		at.clock.now = at.clock.now.Truncate(time.Hour).Add(time.Hour)
		at.record(1799, 100)
	}
	at.close()
	for b.Loop() {
		w, err := Open(context.Background(), at.o)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScan reads an hour's journal.
func BenchmarkScan(b *testing.B) {
	at := newBenchIn(b, memoryDir(b))
	at.o.Policy = Policy{MinFree: -1}
	at.open().record(1800, 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Scan(context.Background(), at.o.Dir, began, began.Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
	}
}

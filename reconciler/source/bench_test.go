package source_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/source/sourcetest"
)

// fleet is a repository with n cameras, one file for each.
func fleet(t testing.TB, n int) *sourcetest.Repo {
	t.Helper()
	repo := sourcetest.NewRepo(t)
	pairs := []string{"fleet.cue", "package fleet\n"}
	for i := range n {
		pairs = append(pairs, fmt.Sprintf("sites/site-%02d/camera-%04d.cue", i%20, i), camera(i, 0))
	}
	repo.Commit(pairs...)
	repo.Git("gc", "-q")
	return repo
}

func camera(i, change int) string {
	return fmt.Sprintf("package site\n\nsite: cameras: \"camera-%04d\": {\n\turl: \"rtsp://10.0.%d.%d:554/stream%d\"\n\tretention: days: %d\n}\n", i, i/250, i%250, i*i, change)
}

// What a commit to one of 1,000 cameras costs, over a real git http-backend.
func BenchmarkFetchOneChanged(b *testing.B) {
	repo := fleet(b, 1000)
	server := sourcetest.NewServer(b, repo.Dir)
	s, err := source.New(source.Config{URL: server.URL + "/.git"})
	if err != nil {
		b.Fatal(err)
	}
	have, err := s.Fetch(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	requests, sent, i := server.Requests.Load(), server.Sent.Load(), 0
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		i++
		repo.Commit("sites/site-07/camera-0007.cue", camera(7, i))
		b.StartTimer()
		began := time.Now()
		if have, err = s.Fetch(b.Context(), have.Hash); err != nil || have == nil {
			b.Fatal(have, err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
	b.ReportMetric(float64(server.Requests.Load()-requests)/float64(i), "requests/op")
	b.ReportMetric(float64(server.Sent.Load()-sent)/float64(i), "bytes/op")
}

// The same promise as a test: two requests, and little more than the file.
func TestFetchesOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	repo := fleet(t, 300)
	server, url := serve(t, repo)
	s := newSource(t, source.Config{URL: url})
	c := fetch(t, s, "")
	all := server.Sent.Load()
	for i := range 5 {
		requests, sent := server.Requests.Load(), server.Sent.Load()
		hash := repo.Commit("sites/site-07/camera-0007.cue", camera(7, i+1))
		if i == 3 { // a rewritten history changes nothing about that
			repo.Git("checkout", "-q", "--orphan", "again")
			repo.Git("commit", "-q", "-m", "All anew")
			repo.Git("branch", "-M", "again", "main")
			hash = repo.Git("rev-parse", "HEAD")
		}
		if c = fetch(t, s, c.Hash); c.Hash != hash {
			t.Fatalf("%s, want %s", c.Hash, hash)
		}
		wantFile(t, c, "sites/site-07/camera-0007.cue", camera(7, i+1))
		wantFile(t, c, "sites/site-06/camera-0006.cue", camera(6, 0))
		if r, n := server.Requests.Load()-requests, server.Sent.Load()-sent; r != 2 || n > all/4 {
			t.Errorf("one camera: %d requests and %d bytes, at first there were %d", r, n, all)
		}
	}
}

package hook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"camfleet.dev/reconciler/source"
	"camfleet.dev/reconciler/source/sourcetest"
)

// From a push to a real Git server to the commit's files, through the hook and
// nothing else: nobody polls here.
func TestPushToCommit(t *testing.T) {
	t.Parallel()
	repo := sourcetest.NewRepo(t)
	camera := func(i, change int) []string {
		return []string{fmt.Sprintf("sites/site-%02d/camera-%03d.cue", i%20, i), fmt.Sprintf("package site\n// %d of %d\n", change, i)}
	}
	var files []string
	for i := range 1000 {
		files = append(files, camera(i, 0)...)
	}
	repo.Commit(files...)
	git := sourcetest.NewServer(t, filepath.Dir(repo.Dir))
	s, err := source.New(source.Config{URL: git.URL + "/" + filepath.Base(repo.Dir) + "/.git"})
	if err != nil {
		t.Fatal(err)
	}
	wake, commits := make(chan struct{}, 1), make(chan string, 100)
	h, _ := newHandler(secret)
	h.Wake = func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	ctx := t.Context()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for have := ""; ; {
			c, err := s.Fetch(ctx, have)
			if err == nil && c != nil {
				have = c.Hash
				commits <- have
			}
			select {
			case <-wake:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { <-done })
	<-commits
	server := httptest.NewServer(h)
	defer server.Close()
	var took []time.Duration
	for i := range 5 { // more of them at once would wait for their turns
		hash := repo.Commit(camera(7*i, i+1)...)
		began := time.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/hook", strings.NewReader(hello))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Hub-Signature-256", "sha256="+helloSum)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := <-commits; got != hash {
			t.Errorf("got %s, want %s", got, hash)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("from push to files: median %v, worst %v", took[len(took)/2], took[len(took)-1])
	if took[len(took)/2] > 5*time.Second {
		t.Errorf("a push took %v", took[len(took)/2])
	}
}

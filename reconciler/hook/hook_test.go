package hook_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"camfleet.dev/reconciler/hook"
	"camfleet.dev/reconciler/hook/hooktest"
)

const (
	secret = "It's a Secret to Everybody" // of the example in GitHub's documentation
	hello  = "Hello, World!"
	// What GitHub's documentation says the signature of hello is.
	helloSum = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	// The example of the Standard Webhooks specification.
	whsec     = "whsec_plJ3nmyCDGBKInavdOK15jsl"
	whPayload = `{"event_type":"ping","data":{"success":true}}`
)

// newHandler counts its wakes.
func newHandler(secrets ...string) (*hook.Handler, *atomic.Int64) {
	wakes := &atomic.Int64{}
	return &hook.Handler{
		Secret: func() ([]byte, error) { return []byte(strings.Join(secrets, "\n") + "\n"), nil },
		Wake:   func() { wakes.Add(1) },
	}, wakes
}

func call(h http.Handler, method, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/hook", strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	wh := func(sig string) []string {
		return []string{"Webhook-Id", "msg_loFOjxBNrRLzqYUf", "Webhook-Timestamp", "1731705121", "Webhook-Signature", sig}
	}
	const whGood = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
	for _, c := range []struct {
		name, body string
		header     []string
		code       int
		wakes      int64
	}{
		{"GitHub", hello, []string{"X-Hub-Signature-256", "sha256=" + helloSum, "X-GitHub-Event", "push"}, 202, 1},
		{"GitHub's ping", hello, []string{"X-Hub-Signature-256", "sha256=" + helloSum, "X-GitHub-Event", "ping"}, 200, 0},
		{"GitHub's star", hello, []string{"X-Hub-Signature-256", "sha256=" + helloSum, "X-GitHub-Event", "star"}, 202, 0},
		{"GitHub, other body", hello + "!", []string{"X-Hub-Signature-256", "sha256=" + helloSum}, 401, 0},
		{"GitHub, old SHA-1 only", hello, []string{"X-Hub-Signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"}, 401, 0},
		{"GitHub without sha256=", hello, []string{"X-Hub-Signature-256", helloSum}, 401, 0},
		{"GitHub, unsigned ping", hello, []string{"X-GitHub-Event", "ping"}, 401, 0},
		{"Gitea", hello, []string{"X-Gitea-Signature", helloSum, "X-Gitea-Event", "push", "X-GitHub-Event", "push"}, 202, 1},
		{"Forgejo", hello, []string{"X-Forgejo-Signature", helloSum, "X-Forgejo-Event", "push"}, 202, 1},
		{"Forgejo's issues", hello, []string{"X-Forgejo-Signature", helloSum, "X-Forgejo-Event", "issues"}, 202, 0},
		{"Bitbucket", hello, []string{"X-Hub-Signature", "sha256=" + helloSum, "X-Event-Key", "repo:push"}, 202, 1},
		{"Bitbucket's ping", hello, []string{"X-Hub-Signature", "sha256=" + helloSum, "X-Event-Key", "diagnostics:ping"}, 200, 0},
		{"plain", hello, []string{"X-Camfleet-Signature", "sha256=" + helloSum}, 202, 1},
		{"the second secret", hello, []string{"X-Camfleet-Signature", "sha256=" + hooktest.Sign("old", hello)}, 202, 1},
		{"one wrong, one right", hello, []string{"X-Hub-Signature-256", "sha256=" + hooktest.Sign("x", hello), "X-Gitea-Signature", helloSum}, 202, 1},
		{"empty body", "", []string{"X-Camfleet-Signature", "sha256=" + hooktest.Sign(secret, "")}, 202, 1},
		{"empty key", hello, []string{"X-Camfleet-Signature", "sha256=" + hooktest.Sign("", hello)}, 401, 0},
		{"GitLab's token", "{}", []string{"X-Gitlab-Token", secret, "X-Gitlab-Event", "Push Hook"}, 202, 1},
		{"GitLab's tag", "{}", []string{"X-Gitlab-Token", secret, "X-Gitlab-Event", "Tag Push Hook"}, 202, 0},
		{"GitLab's wrong token", "{}", []string{"X-Gitlab-Token", secret + "x", "X-Gitlab-Event", "Push Hook"}, 401, 0},
		{"the empty token", "{}", []string{"X-Gitlab-Token", ""}, 401, 0},
		{"GitLab's signature", whPayload, wh(whGood), 202, 1},
		{"one of several", whPayload, wh("v1a,xyz v1,AAAA " + whGood), 202, 1},
		{"GitLab's signature, other body", whPayload + " ", wh(whGood), 401, 0},
		{"GitLab's signature, other id", whPayload, append(wh(whGood), "Webhook-Id", "msg_2"), 401, 0},
		{"many of them", whPayload, wh(strings.Repeat("v1,AAAA ", 10) + whGood), 401, 0},
		{"nothing", hello, nil, 401, 0},
		{"no hex", hello, []string{"X-Gitea-Signature", "xyz"}, 401, 0},
		{"half of it", hello, []string{"X-Gitea-Signature", helloSum[:32]}, 401, 0},
		{"the secret itself", hello, []string{"X-Camfleet-Signature", "sha256=" + hex.EncodeToString([]byte(secret))}, 401, 0},
		{"1 MiB", strings.Repeat("x", 1<<20), []string{"X-Gitea-Signature", hooktest.Sign(secret, strings.Repeat("x", 1<<20))}, 202, 1},
		{"more", strings.Repeat("x", 1<<20+1), []string{"X-Gitea-Signature", hooktest.Sign(secret, strings.Repeat("x", 1<<20+1))}, 413, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h, wakes := newHandler("", secret, " old ", whsec)
			w := call(h, "POST", c.body, c.header...)
			if w.Code != c.code || wakes.Load() != c.wakes {
				t.Errorf("%d %s, %d wakes; want %d, %d", w.Code, w.Body, wakes.Load(), c.code, c.wakes)
			}
			if w.Code == 401 && strings.TrimSpace(w.Body.String()) != "not signed" {
				t.Errorf("it tells more than it should: %s", w.Body)
			}
		})
	}
}

func TestWithoutSecret(t *testing.T) {
	t.Parallel()
	signed := []string{"X-Hub-Signature-256", "sha256=" + helloSum}
	for _, h := range []*hook.Handler{{}, {Secret: func() ([]byte, error) { return []byte(" \n\n"), nil }}} {
		if w := call(h, "POST", hello, signed...); w.Code != 403 || !strings.Contains(w.Body.String(), "--hook-secret-file") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	var log bytes.Buffer
	h := &hook.Handler{Secret: func() ([]byte, error) { return nil, errors.New("open /secret: gone") }, Log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 3 {
		if w := call(h, "POST", hello, signed...); w.Code != 503 || strings.Contains(w.Body.String(), "/secret") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if got := log.String(); strings.Count(got, "gone") != 1 {
		t.Errorf("logged %s", got)
	}
	if c := h.Counts(); c.Failed != 3 || c.Accepted != 0 {
		t.Errorf("%+v", c)
	}
	for _, method := range []string{"GET", "PUT", "HEAD", "OPTIONS", "WHATEVER"} {
		if w := call(h, method, hello, signed...); w.Code != 405 || w.Header().Get("Allow") != "POST" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

// A secret is read anew, and while two are listed both count.
func TestSecretIsReplaced(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	h := &hook.Handler{Secret: func() ([]byte, error) { return os.ReadFile(file) }, Wake: func() {}}
	for _, c := range []struct {
		content  string
		old, new int
	}{{"old\n", 202, 401}, {"old\nnew\n", 202, 202}, {"new", 401, 202}} {
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]int{"old": c.old, "new": c.new} {
			if w := call(h, "POST", hello, "X-Gitea-Signature", hooktest.Sign(key, hello)); w.Code != want {
				t.Errorf("%q: %s gave %d, want %d", c.content, key, w.Code, want)
			}
		}
	}
}

// A thousand calls are a handful of wakes, and after the last one there is a wake.
func TestBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHandler(secret)
		var mu sync.Mutex
		var woken []time.Time
		h.Wake = func() {
			mu.Lock()
			defer mu.Unlock()
			woken = append(woken, time.Now())
		}
		began := time.Now()
		var last time.Time
		for range 1000 {
			last = time.Now()
			go call(h, "POST", hello, "X-Gitea-Signature", helloSum)
			synctest.Wait()
			<-time.After(time.Millisecond)
		}
		<-time.After(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(woken) < 6 || len(woken) > 8 || !woken[0].Equal(began) || !woken[len(woken)-1].After(last) {
			t.Errorf("%d wakes, from %v to %v after the first call; the last call came at %v", len(woken), woken[0].Sub(began), woken[len(woken)-1].Sub(began), last.Sub(began))
		}
		if c := h.Counts(); c.Accepted != 1000 || c.Wakes != uint64(len(woken)) {
			t.Errorf("%+v", c)
		}
		// A lonely call is not kept waiting.
		n := len(woken)
		mu.Unlock()
		call(h, "POST", hello, "X-Gitea-Signature", helloSum)
		mu.Lock()
		if len(woken) != n+1 {
			t.Error("a call after a pause did not wake at once")
		}
	})
}

// A push while the repository is being looked at is seen by another look.
func TestNoPushIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{}, 1) // as the reconciler does it
		h, _ := newHandler(secret)
		h.Wake = func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
		var pushed, seen atomic.Int64
		done := make(chan struct{})
		go func() {
			for {
				select {
				case <-wake:
					now := pushed.Load()
					<-time.After(70 * time.Millisecond) // a fetch takes its time
					seen.Store(now)
				case <-done:
					return
				}
			}
		}()
		for i := range 200 {
			pushed.Add(1)
			call(h, "POST", hello, "X-Gitea-Signature", helloSum)
			if i%20 == 0 {
				<-time.After(700 * time.Millisecond)
				if p, s := pushed.Load(), seen.Load(); p != s {
					t.Errorf("%d pushes, %d seen", p, s)
				}
			}
			<-time.After(time.Duration(i%7) * 13 * time.Millisecond)
		}
		<-time.After(time.Second)
		if p, s := pushed.Load(), seen.Load(); p != s {
			t.Errorf("%d pushes, %d seen", p, s)
		}
		close(done)
	})
}

// A body that does not end, and many of them, hold nothing up for ever.
func TestSlowCallers(t *testing.T) {
	t.Parallel()
	h, wakes := newHandler(secret)
	server := httptest.NewServer(h)
	defer server.Close()
	var open []*io.PipeWriter
	var callers sync.WaitGroup
	refused := make(chan int, 200)
	for range 80 {
		r, w := io.Pipe()
		open = append(open, w)
		callers.Go(func() {
			req, _ := http.NewRequest("POST", server.URL, r)
			req.Header.Set("X-Gitea-Signature", helloSum)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return
			}
			resp.Body.Close()
			refused <- resp.StatusCode
		})
	}
	for range 16 { // 64 wait for their bodies
		if code := <-refused; code != http.StatusServiceUnavailable {
			t.Errorf("one too many got %d", code)
		}
	}
	for _, w := range open {
		w.CloseWithError(io.ErrUnexpectedEOF)
	}
	callers.Wait()
	server.Close() // callers leave before the server has noticed; this waits for it
	if w := call(h, "POST", hello, "X-Gitea-Signature", helloSum); w.Code != 202 || wakes.Load() != 1 {
		t.Errorf("afterwards: %d, %d wakes", w.Code, wakes.Load())
	}
}

// The line that the documentation gives works, as it stands there.
func TestCurl(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"curl", "openssl", "sh"} {
		if _, err := exec.LookPath(program); err != nil && os.Getenv("CI") == "" {
			t.Skipf("no %s here", program)
		}
	}
	source, err := os.ReadFile("hook.go")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(source), "//\tcurl ")
	line, _, _ = strings.Cut(line, "\n")
	h, wakes := newHandler(secret)
	server := httptest.NewServer(h)
	defer server.Close()
	cmd := exec.Command("sh", "-c", "curl "+strings.ReplaceAll(line, "https://camfleet.example.org/hook", server.URL))
	cmd.Dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(cmd.Dir, "secret"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.CombinedOutput(); err != nil || wakes.Load() != 1 {
		t.Errorf("%v, %d wakes: %s", err, wakes.Load(), out)
	}
}

// Whatever is sent: no panic, no wake without the secret, a clear answer.
func FuzzHook(f *testing.F) {
	for _, name := range []string{"X-Hub-Signature-256", "X-Gitea-Signature", "X-Gitlab-Token", "Webhook-Signature", "X-GitHub-Event"} {
		f.Add("POST", name, "sha256="+helloSum, "X-Gitlab-Event", "Push Hook", hello)
		f.Add("POST", name, "v1,"+helloSum, "Webhook-Id", "", `{"ref":"refs/heads/main","commits":[{"added":null}]}`)
	}
	f.Add("GET", "Content-Length", "-1", "Transfer-Encoding", "chunked", "")
	f.Fuzz(func(t *testing.T, method, name, value, name2, value2, body string) {
		h, wakes := newHandler("the fuzzer cannot know: 6b1f")
		r := httptest.NewRequest("POST", "/hook", strings.NewReader(body))
		r.Method = method
		r.Header[name], r.Header[name2] = []string{value}, []string{value2}
		r.Header.Add("X-Hub-Signature-256", value)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if wakes.Load() != 0 || w.Code < 400 || w.Body.Len() == 0 {
			t.Errorf("%d %s, %d wakes", w.Code, w.Body, wakes.Load())
		}
	})
}

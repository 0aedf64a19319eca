package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	tool := httptest.NewServer(handler())
	t.Cleanup(tool.Close)
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/":                      name,
		"/file?path=" + file:     "content",
		"/lookup?name=127.0.0.1": "127.0.0.1",
		"/get?url=" + url.QueryEscape(tool.URL+"/"): name,
		"/file?path=/does/not/exist":                "no such file",
		"/get?url=nonsense":                         "unsupported protocol",
	} {
		res, err := http.Get(tool.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %q, %v; want %q", path, text, err, want)
		}
	}
}

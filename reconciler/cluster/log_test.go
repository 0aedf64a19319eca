package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// TestLogTo: what client-go says is a line of our log, at its level, and
// nothing is written past it. It is for a whole process, so the test is one.
func TestLogTo(t *testing.T) {
	t.Parallel()
	const child = "CAMFLEET_TEST_LOG_TO"
	if os.Getenv(child) != "" {
		logAsClientGoDoes(t)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLogTo$")
	cmd.Env = append(os.Environ(), child+"=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, stdout.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("it wrote past the log: %s", stderr.String())
	}
	var got []string
	for line := range strings.Lines(stdout.String()) {
		var l struct{ Level, Msg, From, Err string }
		if json.Unmarshal([]byte(line), &l) != nil {
			continue // of the test itself
		}
		if l.From != "client-go" {
			t.Errorf("of whom is %s", line)
		}
		got = append(got, l.Level+" "+l.Msg+" "+l.Err)
	}
	for _, want := range []string{"ERROR old style ", "INFO a structured one ", "ERROR Unhandled Error in the background", "DEBUG detail ", "INFO Warning: kinds of old "} {
		if !slices.Contains(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
	}
	if slices.ContainsFunc(got, func(l string) bool { return strings.Contains(l, "whole request") }) {
		t.Error("requests may hold secrets, and are logged")
	}
}

func logAsClientGoDoes(t *testing.T) {
	LogTo(slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if l, ok := a.Value.Any().(slog.Level); ok && l < slog.LevelInfo {
			a.Value = slog.StringValue("DEBUG") // DEBUG+2 is V(2)
		}
		return a
	}})))
	klog.Errorf("old %s", "style")
	klog.Background().Info("a structured one")
	utilruntime.HandleErrorWithContext(t.Context(), errors.New("in the background"), "Unhandled Error")
	klog.FromContext(t.Context()).V(2).Info("detail")
	klog.FromContext(t.Context()).V(8).Info("a whole request, with its body")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Warning", `299 - "kinds of old"`)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`))
	}))
	defer server.Close()
	client, err := Client(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Resource(Kinds()[2].resource()).Namespace("a").Get(t.Context(), "a", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
}

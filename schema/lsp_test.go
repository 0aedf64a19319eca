package schema_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// languageServer is a running `cue lsp`, spoken to as an editor does: JSON-RPC
// 2.0 in LSP 3.17's framing.
type languageServer struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
	id  int
}

func startLanguageServer(t *testing.T, dir string) *languageServer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "cue", "lsp")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CUE_REGISTRY=none")
	cmd.WaitDelay = 5 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &languageServer{t: t, in: in, out: bufio.NewReader(out)}
}

func (s *languageServer) send(message map[string]any) {
	s.t.Helper()
	message["jsonrpc"] = "2.0"
	body, err := json.Marshal(message)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(s.in, "Content-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		s.t.Fatal(err)
	}
}

func (s *languageServer) notify(method string, params any) {
	s.t.Helper()
	s.send(map[string]any{"method": method, "params": params})
}

// call sends a request and waits for its answer; what the server asks of its
// editor meanwhile is answered with nothing.
func (s *languageServer) call(method string, params any) json.RawMessage {
	s.t.Helper()
	s.id++
	s.send(map[string]any{"id": s.id, "method": method, "params": params})
	for {
		var m struct {
			ID     any
			Method string
			Params struct{ Items []any }
			Result json.RawMessage
			Error  json.RawMessage
		}
		if err := json.Unmarshal(s.read(), &m); err != nil {
			s.t.Fatal(err)
		}
		switch {
		case m.Method != "" && m.ID != nil:
			s.send(map[string]any{"id": m.ID, "result": make([]any, len(m.Params.Items))})
		case m.Method == "" && fmt.Sprint(m.ID) == strconv.Itoa(s.id):
			if len(m.Error) > 0 {
				s.t.Fatalf("%s: %s", method, m.Error)
			}
			return m.Result
		}
	}
}

func (s *languageServer) read() []byte {
	s.t.Helper()
	header, err := textproto.NewReader(s.out).ReadMIMEHeader()
	if err != nil {
		s.t.Fatalf("reading from the language server: %v", err)
	}
	n, err := strconv.Atoi(header.Get("Content-Length"))
	if err != nil {
		s.t.Fatal(err)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(s.out, body); err != nil {
		s.t.Fatal(err)
	}
	return body
}

// TestLanguageServerFindsTheSchema asks the stock language server where #Site is
// defined: in the vendored copy.
func TestLanguageServerFindsTheSchema(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(example)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "sites", "gate", "site.cue")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(text), "#Site")
	if !ok {
		t.Fatalf("%s does not use schema.#Site", file)
	}
	line := strings.Count(before, "\n")
	column := len(before) - strings.LastIndex(before, "\n") - 1 + len("#S")

	s := startLanguageServer(t, root)
	uri := func(path string) string { return "file://" + path }
	s.call("initialize", map[string]any{
		"processId": nil, "rootUri": uri(root), "capabilities": map[string]any{},
		"workspaceFolders": []any{map[string]any{"uri": uri(root), "name": "fleet"}},
	})
	s.notify("initialized", map[string]any{})
	document := map[string]any{"uri": uri(file), "languageId": "cue", "version": 1, "text": string(text)}
	s.notify("textDocument/didOpen", map[string]any{"textDocument": document})
	answer := s.call("textDocument/definition", map[string]any{
		"textDocument": map[string]any{"uri": uri(file)}, "position": map[string]any{"line": line, "character": column},
	})
	if !strings.Contains(string(answer), "cue.mod/pkg/camfleet.dev/schema/site.cue") {
		t.Errorf("#Site is defined at %s, want the vendored site.cue", answer)
	}
}

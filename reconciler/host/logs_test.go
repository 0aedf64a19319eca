package host

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestLogsAreForwarded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"slog", `{"time":"2026-11-23T04:00:00Z","level":"WARN","msg":"camera failed","site":"gate","camera":"north","n":12345678901234567}` + "\n",
			"time=2026-11-23T04:00:00.000Z level=WARN msg=\"camera failed\" worker=0 camera=north n=12345678901234567 site=gate\n"},
		{"no time", `{"level":"INFO","msg":"x"}` + "\n", "level=INFO msg=x worker=0\n"},
		{"debug is left out", `{"level":"DEBUG","msg":"x"}` + "\n", ""},
		{"a panic", "panic: oh\n\ngoroutine 1\n", "level=WARN msg=\"a worker wrote\" worker=0 line=\"panic: oh\"\nlevel=WARN msg=\"a worker wrote\" worker=0 line=\"goroutine 1\"\n"},
		{"JSON that is no log", `{"msg":1}` + "\n" + `{"msg":"x","level":"LOUD"}` + "\n" + "[]\n" + "null\n",
			"level=WARN msg=\"a worker wrote\" worker=0 line=[]\nlevel=WARN msg=\"a worker wrote\" worker=0 line=null\n"},
		{"no end of the line", "unfinished", ""},
		{"nothing", "\n \n", ""},
		{"too long", strings.Repeat("x", maxLine+10) + "\n", strings.Repeat("x", maxLine) + "…\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, chunk := range []int{len(c.in) + 1, 7} {
				var out bytes.Buffer
				w := &logWriter{log: slog.New(slog.NewTextHandler(&out, nil)).With("worker", "0")}
				for in := []byte(c.in); len(in) > 0; {
					n := min(chunk, len(in))
					if m, err := w.Write(in[:n]); m != n || err != nil {
						t.Fatal(m, err)
					}
					in = in[n:]
				}
				got := dropTime(out.String(), c.want)
				if c.want == "" && got != "" || !strings.Contains(strings.ReplaceAll(got, `\"`, `"`), strings.ReplaceAll(c.want, `\"`, `"`)) {
					t.Errorf("chunks of %d: got %q, want %q", chunk, got, c.want)
				}
			}
		})
	}
}

// dropTime takes the time of now away, if the wanted lines have none.
func dropTime(got, want string) string {
	if strings.HasPrefix(want, "time=") {
		return got
	}
	var out strings.Builder
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "time=") {
			_, line, _ = strings.Cut(line, " ")
		}
		out.WriteString(line)
	}
	return out.String()
}

func FuzzLogLine(f *testing.F) {
	f.Add([]byte(`{"time":"x","level":"INFO","msg":"m","a":{"b":[1]}}`))
	f.Add([]byte("{\n}\n\x00"))
	f.Fuzz(func(t *testing.T, line []byte) {
		var out bytes.Buffer
		w := &logWriter{log: slog.New(slog.NewTextHandler(&out, nil))}
		if n, err := w.Write(line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	})
}

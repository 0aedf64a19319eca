package host

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxLine bounds a line of a child's log; the rest of it is dropped.
const maxLine = 16 << 10

// logWriter takes a child's standard error, line by line: JSON as slog writes
// it goes on with its level and attributes (the camera among them), anything
// else (a panic) as it is.
type logWriter struct {
	log     *slog.Logger
	line    []byte
	dropped bool
}

// Write never fails: a child must not block on its log. One goroutine uses it.
func (w *logWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			w.add(p)
			return n, nil
		}
		w.add(p[:i])
		w.flush()
		p = p[i+1:]
	}
}

func (w *logWriter) add(p []byte) {
	if room := maxLine - len(w.line); len(p) > room {
		p, w.dropped = p[:room], true
	}
	w.line = append(w.line, p...)
}

func (w *logWriter) flush() {
	line := strings.TrimSpace(string(w.line))
	if w.dropped {
		line += "…"
	}
	w.line, w.dropped = w.line[:0], false
	if line == "" {
		return
	}
	if r, ok := parseLine(line); ok {
		if w.log.Enabled(context.Background(), r.Level) {
			_ = w.log.Handler().Handle(context.Background(), r) // nowhere to report it
		}
		return
	}
	w.log.Warn("a worker wrote", "line", line)
}

// parseLine reads a line of slog's JSON handler.
func parseLine(line string) (slog.Record, bool) {
	var fields map[string]any
	dec := json.NewDecoder(strings.NewReader(line))
	dec.UseNumber()
	if err := dec.Decode(&fields); err != nil {
		return slog.Record{}, false
	}
	message, isMessage := fields[slog.MessageKey].(string)
	word, _ := fields[slog.LevelKey].(string)
	var level slog.Level
	if !isMessage || level.UnmarshalText([]byte(word)) != nil {
		return slog.Record{}, false
	}
	text, _ := fields[slog.TimeKey].(string)
	at, _ := time.Parse(time.RFC3339Nano, text) // zero: no time
	for _, k := range []string{slog.MessageKey, slog.LevelKey, slog.TimeKey} {
		delete(fields, k)
	}
	r := slog.NewRecord(at, level, message, 0)
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		r.AddAttrs(slog.Any(k, fields[k]))
	}
	return r, true
}

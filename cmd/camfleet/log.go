package main

import (
	"log/slog"
	"os"

	"golang.org/x/term"
)

// logger writes to standard error, as lines for people or as JSON for programs.
func (a *app) logger(level slog.Level, format string) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, opts))
	}
	return slog.New(slog.NewTextHandler(a.stderr, opts))
}

// terminal says whether w is one, so that colour and progress are only shown there.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
}

package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress draws a bar on one line of a terminal, and nothing anywhere else.
type progress struct {
	w     io.Writer
	label string
	shown bool
	last  time.Time
}

const barWidth = 30

func newProgress(w io.Writer, label string) *progress {
	p := &progress{label: label}
	if terminal(w) {
		p.w = w
	}
	return p
}

// set is told how many bytes of how many are done, as often as the work likes.
func (p *progress) set(done, total int64) {
	p.draw(done, total, fmt.Sprintf("%d of %d MB", min(done, total)/1e6, total/1e6))
}

// count is set for things instead of bytes.
func (p *progress) count(done, total int64, things string) {
	p.draw(done, total, fmt.Sprintf("%d of %d %s", min(done, total), total, things))
}

func (p *progress) draw(done, total int64, amount string) {
	if p.w == nil || total <= 0 || done < total && time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last, p.shown = time.Now(), true
	fmt.Fprintf(p.w, "\r%s %s", p.label, bar(done, total, amount))
}

func bar(done, total int64, amount string) string {
	full := int(min(done, total) * barWidth / total)
	return fmt.Sprintf("[%s%s] %3d %%  %s", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full),
		min(done, total)*100/total, amount)
}

// end leaves the line, if it is on one.
func (p *progress) end() {
	if p.shown {
		fmt.Fprintln(p.w)
	}
	p.shown = false
}

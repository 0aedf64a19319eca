package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"camfleet.dev/reconciler/status"
)

// Control sequences of a terminal (ECMA-48): to the upper left corner, and
// delete what follows. Nothing is deleted before there is something to show.
const (
	home       = "\x1b[H"
	clearBelow = "\x1b[J"
	clearLine  = "\x1b[K"
)

// watchStatus shows the status whenever it changes: in place on a terminal, one
// after the other elsewhere.
func (a *app) watchStatus(ctx context.Context, o operator, format string) error {
	screen := terminal(a.stdout) && format == "text"
	var last string
	return o.Watch(ctx, func(s status.Status, note string) error {
		text, err := statusText(s, note, format, screen)
		if err != nil || text == last {
			return err
		}
		last = text
		if screen {
			text = home + string(bytes.ReplaceAll([]byte(text), []byte("\n"), []byte(clearLine+"\n"))) + clearBelow
		}
		_, err = fmt.Fprint(a.stdout, text)
		return err
	})
}

func statusText(s status.Status, note, format string, colour bool) (string, error) {
	var b bytes.Buffer
	if note != "" && format == "text" {
		fmt.Fprintln(&b, note)
	}
	if err := printStatus(&b, s, format, colour, time.Now()); err != nil {
		return "", fmt.Errorf("printing: %w", err)
	}
	return b.String(), nil
}

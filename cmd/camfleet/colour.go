package main

import "camfleet.dev/reconciler/engine"

// ANSI colours (ECMA-48, SGR).
const (
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	red    = "\x1b[31m"
	reset  = "\x1b[0m"
)

// changeColour colours an action's word on a terminal; it is nil elsewhere.
func changeColour(on bool) func(engine.Action, string) string {
	if !on {
		return nil
	}
	return func(a engine.Action, word string) string {
		switch a {
		case engine.Created:
			return green + word + reset
		case engine.Failed, engine.Deleted:
			return red + word + reset
		}
		return yellow + word + reset
	}
}

// stateColour colours a camera's state on a terminal.
func stateColour(on bool, state, text string) string {
	switch {
	case !on:
		return text
	case state == "live":
		return green + text + reset
	case state == "connecting", state == "stale", state == "disabled":
		return yellow + text + reset
	}
	return red + text + reset
}

package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// State is what a camera is doing, in a word that the page knows.
type State string

// The states of a camera.
const (
	Connecting   State = "connecting"
	Live         State = "live"
	Stale        State = "stale" // connected, but no frames come
	Unauthorized State = "unauthorized"
	NotFound     State = "notFound"
	Unreachable  State = "unreachable"
	Unsupported  State = "unsupported"
	StorageFull  State = "storageFull"
	Disabled     State = "disabled"
)

// States are all of them.
func States() []State {
	return []State{Connecting, Live, Stale, Unauthorized, NotFound, Unreachable, Unsupported, StorageFull, Disabled}
}

// String is the state's word.
func (s State) String() string { return string(s) }

// Valid tells whether s is one of the States.
func (s State) Valid() bool { return slices.Contains(States(), s) }

// Status is status.json.
type Status struct {
	State   State     `json:"state"`
	Since   time.Time `json:"since"` // when the state began
	Message string    `json:"message,omitempty"`
	Codec   string    `json:"codec,omitempty"` // of the video
	Width   int       `json:"width,omitempty"`
	Height  int       `json:"height,omitempty"`
	FPS     float64   `json:"fps,omitempty"`
	Bitrate int64     `json:"bitrate,omitempty"` // bits per second
}

// WriteStatus replaces status.json, if that says anything else than s.
func WriteStatus(dir Dir, s Status) error {
	if !s.State.Valid() {
		return fmt.Errorf("write status: %q is not a camera state; it is one of %v", s.State, States())
	}
	s.Since = s.Since.UTC().Truncate(time.Millisecond)
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	data = append(data, '\n')
	path := filepath.Join(string(dir), StatusName)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	if err := os.MkdirAll(string(dir), folderMode); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	if err := replace(OS{}, "status", path, data, true); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// ReadStatus reads status.json; fs.ErrNotExist when the camera has none yet.
func ReadStatus(dir Dir) (Status, error) {
	var s Status
	data, err := os.ReadFile(filepath.Join(string(dir), StatusName))
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("read status: %w", err)
	}
	if err != nil {
		return s, fmt.Errorf("read status: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read status of %s: %w", dir, err)
	}
	if !s.State.Valid() {
		return s, fmt.Errorf("read status of %s: %q is not a camera state", dir, s.State)
	}
	return s, nil
}

package hls2mpeg

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Causes of gaps that the journal does not know.
const (
	// CauseDamaged: there are segments, and none of them could be read.
	CauseDamaged = "damaged"
)

// Manifest is days/<date>.json: what a day's files were made of, and where in
// them a moment of the day is. It is written last: a day is done when it is there.
type Manifest struct {
	Version  int       `json:"version"`
	Site     string    `json:"site,omitempty"`
	Camera   string    `json:"camera,omitempty"`
	Date     string    `json:"date"`
	TimeZone string    `json:"timeZone"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`

	Seconds  float64 `json:"seconds"` // recorded, and shown by the files
	Bytes    int64   `json:"bytes"`   // of the files
	Frames   int     `json:"frames"`
	Sessions int     `json:"sessions"`
	Config   string  `json:"config,omitempty"` // the commit of the configuration, if known

	Files   []File    `json:"files"`
	Gaps    []Gap     `json:"gaps"`
	Skipped []Skipped `json:"skipped"`
	// Segments are what is in the files, in order: start (Unix milliseconds),
	// duration (90 kHz), video frames, bytes.
	Segments [][4]int64 `json:"segments"`
}

// File is one MP4. A day is one file, unless the camera's codec or its audio's
// configuration changed: players cannot follow that inside a file.
type File struct {
	Name    string  `json:"name"`
	Bytes   int64   `json:"bytes"`
	SHA256  string  `json:"sha256"`
	Seconds float64 `json:"seconds"`
	Tracks  []Track `json:"tracks"`
	// Stretches are what was recorded without a break, in order and one right
	// after the other in the file: gaps are not on its time line.
	Stretches []Stretch `json:"stretches"`
}

// Track is a track of a File.
type Track struct {
	Codec   string `json:"codec"` // of the sample entry: avc1, hvc1, mp4a, Opus …
	Samples int    `json:"samples"`
	Width   int    `json:"width,omitempty"`
	Height  int    `json:"height,omitempty"`
	// ParameterSets counts the sample entries: changes of resolution and the like.
	ParameterSets int `json:"parameterSets"`
}

// Stretch maps the wall clock to a file's time line.
type Stretch struct {
	Session  string  `json:"session"`
	Start    int64   `json:"start"`   // Unix milliseconds of its first frame
	At       float64 `json:"at"`      // where in the file that is, in seconds
	Seconds  float64 `json:"seconds"` // how long
	Segments int     `json:"segments"`

	at, end int64 // in ticks of the file's first track
}

// Gap is time of the day that is not in its files.
type Gap struct {
	Since int64  `json:"since"` // Unix milliseconds
	Until int64  `json:"until"`
	Cause string `json:"cause,omitempty"` // a media.Cause or CauseDamaged; empty: unknown
}

// Skipped is a segment that is journalled and could not be read.
type Skipped struct {
	Segment string  `json:"segment"` // its path in the camera's folder
	Start   int64   `json:"start"`
	Seconds float64 `json:"seconds"`
	Reason  string  `json:"reason"`
}

func (p *plan) manifest(files []File) Manifest {
	m := Manifest{Version: 1, Sessions: p.sessions, Files: files, Gaps: p.gaps, Skipped: p.skipped}
	for _, f := range files {
		m.Bytes += f.Bytes
		m.Seconds += f.Seconds
		m.Frames += f.Tracks[0].Samples
	}
	for _, pt := range p.parts {
		for _, s := range pt.sources {
			m.Segments = append(m.Segments, [4]int64{s.start, s.duration, int64(s.frames), s.size})
		}
	}
	return m
}

// write puts the manifest in place: temporary name, fsync, rename, fsync.
func (m Manifest) write(path string) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding the manifest: %w", err)
	}
	f, err := openPart(path + partSuffix)
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	defer f.Close()
	if _, err := f.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("syncing the manifest: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

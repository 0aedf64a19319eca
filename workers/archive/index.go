package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// IndexName is what the page finds recordings with.
const IndexName = "index.json"

// indexLockName keeps the writer and whoever makes day files from replacing
// each other's index with an older one.
const indexLockName = ".index.lock"

// Index is index.json.
type Index struct {
	Hours []string   `json:"hours"` // "2026-11-23/04", oldest first: those with a playlist
	Days  []IndexDay `json:"days"`
}

// IndexDay is a day: its file, <date>.mp4.
type IndexDay struct {
	Date    string  `json:"date"`
	Bytes   int64   `json:"bytes"`   // of all its files
	Seconds float64 `json:"seconds"` // recorded, from the manifest
	// Files are the day's files in order, where one could not hold all of it.
	Files []string `json:"files,omitempty"`
}

// UpdateIndex writes index.json from what is in the folder, if it says
// anything else. Call it when a day file was added or removed.
func UpdateIndex(dir Dir) error { return updateIndex(OS{}, dir) }

// ReadIndex reads index.json.
func ReadIndex(dir Dir) (Index, error) {
	var x Index
	data, err := os.ReadFile(filepath.Join(string(dir), IndexName))
	if err != nil {
		return x, fmt.Errorf("read index: %w", err)
	}
	if err := json.Unmarshal(data, &x); err != nil {
		return x, fmt.Errorf("read index of %s: %w", dir, err)
	}
	return x, nil
}

func updateIndex(fsys FS, dir Dir) error {
	unlock := lockIndex(dir)
	defer unlock()
	x, err := makeIndex(fsys, dir)
	if err != nil {
		return fmt.Errorf("update index: %w", err)
	}
	data, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("update index: %w", err)
	}
	data = append(data, '\n')
	path := filepath.Join(string(dir), IndexName)
	if have, err := fsys.ReadFile("index.read", path); err == nil && bytes.Equal(have, data) {
		return nil
	}
	if err := replace(fsys, "index", path, data, false); err != nil {
		return fmt.Errorf("update index: %w", err)
	}
	return nil
}

// lockIndex waits for another index to be written. Where locks do not work,
// the next index puts right what two at once got wrong.
func lockIndex(dir Dir) (unlock func()) {
	f, err := os.OpenFile(filepath.Join(string(dir), indexLockName), os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return func() {}
	}
	_ = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	return func() { _ = f.Close() }
}

func makeIndex(fsys FS, dir Dir) (Index, error) {
	x := Index{Hours: []string{}, Days: []IndexDay{}}
	dates, err := fsys.ReadDir("list", string(dir))
	if err != nil {
		return x, err
	}
	for _, d := range dates {
		if _, err := time.Parse(DateLayout, d.Name()); err != nil {
			continue
		}
		inside, err := fsys.ReadDir("list", filepath.Join(string(dir), d.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !refused(err) {
			return x, err
		}
		for _, f := range inside {
			key, ok := strings.CutSuffix(d.Name()+"/"+f.Name(), ".m3u8")
			if _, isHour := parseHourKey(key); ok && isHour {
				x.Hours = append(x.Hours, key)
			}
		}
	}
	days, err := listDays(fsys, dir, time.UTC)
	if err != nil && !refused(err) { // else there is an index of all the rest
		return x, err
	}
	for _, d := range days {
		if !d.whole {
			continue // being made, or being dropped
		}
		x.Days = append(x.Days, IndexDay{Date: d.date, Bytes: d.bytes, Seconds: readSeconds(fsys, dir, d.date), Files: d.parts()})
	}
	return x, nil
}

// Package scaffold writes a new fleet's repository (`camfleet init`) and keeps
// the schema in it up to date (`camfleet init --upgrade`).
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"camfleet.dev/schema"
)

//go:embed files
var files embed.FS

// moduleFile is where CUE wants a repository's module.
const moduleFile = "cue.mod/module.cue"

// targets maps a template to the file that it becomes. The names differ where
// embedding or CUE would treat the template's own name specially.
func targets() map[string]string {
	return map[string]string{
		"files/fleet.cue":           "fleet.cue",
		"files/clusters/home.cue":   "clusters/home.cue",
		"files/sites/home/site.cue": "sites/home/site.cue",
		"files/cue.mod_module.cue":  moduleFile,
		"files/gitignore":           ".gitignore",
	}
}

// Fleet is what a new repository needs to know.
type Fleet struct {
	Name string // [a-z0-9-]
	UID  string // see NewUID
}

// ErrExists means that a file that would be written is there already.
var ErrExists = errors.New("is there already")

// ErrName means that a fleet cannot be called that.
var ErrName = errors.New("cannot be a fleet's name")

// ErrNoFleet means that there is nothing to upgrade in a folder.
var ErrNoFleet = errors.New("is not a fleet's repository (it has no fleet.cue)")

var fleetName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// NewUID makes a fleet's identifier from random bytes (crypto/rand.Reader), as a
// version 4 UUID (RFC 9562).
func NewUID(random io.Reader) (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("making the fleet's identifier: %w", err)
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

// Init writes a small fleet to dir, which is made if it is not there, and
// returns the files that it wrote. If any of them exists it writes nothing and
// the error is ErrExists.
func Init(dir string, f Fleet) ([]string, error) {
	if !fleetName.MatchString(f.Name) {
		return nil, fmt.Errorf("%q %w; use lower case letters, digits and \"-\", at most 63 characters", f.Name, ErrName)
	}
	if f.UID == "" {
		return nil, errors.New("the fleet needs an identifier")
	}
	if err := refuseExisting(dir); err != nil {
		return nil, err
	}
	var wrote []string
	for from, to := range targets() {
		ok, err := expand(dir, from, to, f)
		if err != nil {
			return wrote, err
		}
		if ok {
			wrote = append(wrote, to)
		}
	}
	vendored, err := schema.Vendor(dir)
	wrote = append(wrote, vendored...)
	slices.Sort(wrote)
	return wrote, err
}

// Upgrade brings the schema in the fleet's repository at dir up to date, and
// returns the files that changed. Nothing that a user wrote is touched.
func Upgrade(dir string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, "fleet.cue")); err != nil {
		return nil, fmt.Errorf("%s %w; `camfleet init %s` makes one", dir, ErrNoFleet, dir)
	}
	var changed []string
	if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(moduleFile))); errors.Is(err, fs.ErrNotExist) {
		if _, err := expand(dir, "files/cue.mod_module.cue", moduleFile, Fleet{Name: "fleet"}); err != nil {
			return nil, err
		}
		changed = append(changed, moduleFile)
	}
	vendored, err := schema.Vendor(dir)
	return append(changed, vendored...), err
}

func refuseExisting(dir string) error {
	var there []string
	for _, to := range targets() {
		if to == ".gitignore" {
			continue // a repository often has one; it is left alone
		}
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(to))); err == nil {
			there = append(there, to)
		}
	}
	if len(there) == 0 {
		return nil
	}
	slices.Sort(there)
	return fmt.Errorf("%s: %s %w; choose another folder, or refresh the schema with `camfleet init --upgrade %s`", dir, strings.Join(there, ", "), ErrExists, dir)
}

// expand writes one file; false means that it was left alone.
func expand(dir, from, to string, f Fleet) (wrote bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing %s: %w", to, err)
		}
	}()
	t, err := template.ParseFS(files, from)
	if err != nil {
		return false, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, map[string]string{"Name": f.Name, "UID": f.UID, "Language": schema.LanguageVersion}); err != nil {
		return false, err
	}
	path := filepath.Join(dir, filepath.FromSlash(to))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, err
	}
	// O_EXCL: what somebody wrote meanwhile is not ours to replace.
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if to == ".gitignore" && errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = file.Write(b.Bytes())
	return err == nil, errors.Join(err, file.Close())
}

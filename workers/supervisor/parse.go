package supervisor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"
	"time"

	"camfleet.dev/schema"
)

// maxConfig bounds one camera.json, in bytes.
const maxConfig = 64 << 10

// maxName bounds the name of a site and of a camera (CONTRACTS).
const maxName = 40

var name = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// ConfigError is a camera.json that cannot be used: where, and what to do.
// Line and Column count from 1; 0 means the file as a whole.
type ConfigError struct {
	File         string
	Line, Column int
	Message      string
}

func (e *ConfigError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Parse reads one camera.json. It is strict: an unknown field is an error, so
// that a misspelt one is not silently without effect. file names it in errors.
func Parse(file string, data []byte) (schema.WorkerCamera, error) {
	var c schema.WorkerCamera
	if len(data) > maxConfig {
		return c, &ConfigError{File: file, Message: fmt.Sprintf("is %d bytes long; a camera's configuration has at most %d", len(data), maxConfig)}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, located(file, data, err, dec.InputOffset())
	}
	if dec.More() {
		return c, at(file, data, dec.InputOffset(), "there is more after the configuration; one file holds one camera")
	}
	if field, err := check(c); err != nil {
		return c, at(file, data, find(data, field), field+": "+err.Error())
	}
	return c, nil
}

// located gives a JSON error its place.
func located(file string, data []byte, err error, offset int64) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return at(file, data, 0, "is empty; want a camera's configuration")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return at(file, data, int64(len(data)), "not JSON: it ends too early")
	case errors.As(err, &syntax):
		return at(file, data, syntax.Offset-1, "not JSON: "+syntax.Error())
	case errors.As(err, &kind):
		return at(file, data, kind.Offset-1, fmt.Sprintf("%s: want a %s, not a %s", kind.Field, kind.Type, kind.Value))
	}
	if _, field, ok := strings.Cut(err.Error(), "unknown field "); ok {
		field = strings.Trim(field, `"`)
		return at(file, data, find(data, field), fmt.Sprintf("unknown field %q (was it written by a newer camfleet than this worker?)", field))
	}
	return at(file, data, offset, err.Error())
}

// at is a ConfigError at a byte offset.
func at(file string, data []byte, offset int64, message string) error {
	if offset < 0 {
		return &ConfigError{File: file, Message: message}
	}
	before := data[:min(int(offset), len(data))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return &ConfigError{File: file, Line: line, Column: column, Message: message}
}

// find is the offset of the last key of a dotted path, or -1.
func find(data []byte, path string) int64 {
	from := 0
	for key := range strings.SplitSeq(path, ".") {
		i := bytes.Index(data[from:], []byte(`"`+key+`"`))
		if i < 0 {
			return -1
		}
		from += i
	}
	return int64(from)
}

// check tells the first field that cannot be right, and why. An error never
// repeats the URL: it may hold a password by mistake.
func check(c schema.WorkerCamera) (string, error) {
	for _, f := range []struct {
		field string
		err   error
	}{
		{"site", checkName(c.Site)},
		{"name", checkName(c.Name)},
		{"timeZone", checkZone(c.TimeZone)},
		{"url", checkURL(c.URL)},
		{"credentials", checkSecret(c.Credentials)},
		{"transport", oneOf(c.Transport, "tcp", "udp")},
		{"recording.segment", checkSegment(c.Recording)},
		{"live.latency", oneOf(c.Live.Latency, "low", "standard")},
	} {
		if f.err != nil {
			return f.field, f.err
		}
	}
	return "", nil
}

func checkName(s string) error {
	if len(s) > maxName || !name.MatchString(s) {
		return fmt.Errorf("%.60q is not a name: use a-z, 0-9 and -, at most %d characters", s, maxName)
	}
	return nil
}

func checkZone(s string) error {
	if s == "" || s == "Local" {
		return errors.New("is missing: an IANA name such as Europe/Madrid")
	}
	if _, err := time.LoadLocation(s); err != nil {
		return fmt.Errorf("%.60q is no time zone; use an IANA name such as Europe/Madrid", s)
	}
	return nil
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("is not a URL; want rtsp://host[:port]/path")
	case u.Scheme != "rtsp" && u.Scheme != "rtsps":
		return errors.New("want rtsp:// or rtsps://")
	case u.Hostname() == "":
		return errors.New("has no host; want rtsp://host[:port]/path")
	case u.User != nil:
		return errors.New("holds a user or a password; put them into a Secret and name it in credentials")
	}
	return nil
}

// checkSecret: the name becomes part of a path.
func checkSecret(s string) error {
	if s != "" && (len(s) > 253 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" || strings.Contains(s, "..") || s[0] == '.') {
		return fmt.Errorf("%.60q is not a Secret's name", s)
	}
	return nil
}

func oneOf(s string, allowed ...string) error {
	for _, a := range allowed {
		if s == a {
			return nil
		}
	}
	return fmt.Errorf("%.60q is not allowed; want %s", s, strings.Join(allowed, " or "))
}

func checkSegment(r schema.Recording) error {
	if d := r.Segment.Std(); r.Enabled && (d < 500*time.Millisecond || d > time.Minute) {
		return fmt.Errorf("is %s; want 500ms to 60s", r.Segment)
	}
	return nil
}

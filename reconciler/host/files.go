package host

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"time"

	"camfleet.dev/compiler/page"
)

const (
	// maxState bounds playlists and documents: an hour of one-second segments is 400 kB.
	maxState = 16 << 20
	// slowest is the slowest reader that gets a whole recording, in bytes per second.
	slowest = 32 << 10
)

// serveArchive serves a file of a camera's archive. The path is on the list of
// page.Find, and os.Root lets nothing out of the archive's folder.
func (h *Host) serveArchive(rw http.ResponseWriter, r *http.Request, route page.Route) {
	name := path.Join(route.Site, route.Camera, route.Name)
	f, info, err := h.openRecorded(name)
	if err != nil {
		notFound(rw)
		return
	}
	defer f.Close()
	rw.Header().Set("Content-Type", mediaType(name))
	if route.Kind == page.State {
		h.serveState(rw, r, f)
		return
	}
	rw.Header().Set("Cache-Control", page.Immutable)
	rw.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	deadline := time.Now().Add(writeTimeout + time.Duration(info.Size()/slowest)*time.Second)
	_ = http.NewResponseController(rw).SetWriteDeadline(deadline) // not every writer has one
	http.ServeContent(rw, r, "", info.ModTime(), f)
}

// serveState serves a file that is rewritten every few seconds, often to the
// same size: it has no validators, since a time stamp cannot tell two of them apart.
func (h *Host) serveState(rw http.ResponseWriter, r *http.Request, f *os.File) {
	content, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		h.log.Error("a file of the archive cannot be read", "file", f.Name(), "error", err)
		http.Error(rw, "it cannot be read", http.StatusInternalServerError)
		return
	}
	http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(content))
}

// openRecorded opens a plain file that is reached through no symbolic link.
func (h *Host) openRecorded(name string) (*os.File, fs.FileInfo, error) {
	for i, c := range name + "/" {
		if c != '/' {
			continue
		}
		info, err := h.archive.Lstat(name[:i])
		if err != nil {
			return nil, nil, err
		}
		if info.Mode().Type() == fs.ModeSymlink {
			return nil, nil, fs.ErrNotExist
		}
	}
	f, err := h.archive.Open(name)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// ownNames refuses requests that call this server by a name that is not its
// own: a page elsewhere could otherwise point its own name here (DNS
// rebinding) and read what its visitor's browser can reach.
func ownNames(hosts []string, next http.Handler) http.Handler {
	own := map[string]bool{"localhost": true, "": true}
	if name, err := os.Hostname(); err == nil {
		own[strings.ToLower(name)] = true
		own[strings.ToLower(name)+".local"] = true
	}
	for _, name := range hosts {
		own[strings.ToLower(name)] = true
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name := hostName(r.Host)
		if !own[name] && !isAddress(name) {
			http.Error(rw, "this server is not called "+name+"; if it should be, start it with --host "+name, http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

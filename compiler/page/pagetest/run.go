package pagetest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"camfleet.dev/compiler/page"
)

// Run asks everything of the server.
func Run(t *testing.T, target Target) {
	for name, table := range map[string][]request{
		"page": pageTable(), "archive": archiveTable(), "hidden": hiddenTable(),
		"traversal": traversalTable(), "method": methodTable(), "live": liveTable(),
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range table {
				t.Run(r.name, func(t *testing.T) { r.check(t, target.URL) })
			}
		})
	}
	for name, test := range map[string]func(*testing.T, Target){
		"data": data, "assets": assets, "rewritten": rewritten, "revalidated": revalidated,
		"streamed": streamed, "credentials stay": credentialsStay,
	} {
		t.Run(name, func(t *testing.T) { test(t, target) })
	}
}

// data: fleet.json is what the page was made for.
func data(t *testing.T, target Target) {
	_, body := request{path: "/assets/" + page.Data}.ask(t, target.URL)
	var got page.Fleet
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	if got.Fleet != Fleet().Fleet || len(got.Sites) != 1 || got.Sites[0].Name != Site || !slices.Equal(got.Sites[0].Cameras, Fleet().Sites[0].Cameras) {
		t.Errorf("got %+v", got)
	}
}

// assets: every file of the page arrives whole, for clients that unpack gzip and those that do not.
func assets(t *testing.T, target Target) {
	files, err := fs.ReadDir(page.Assets(), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		want, err := fs.ReadFile(page.Assets(), f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, header := range []string{"", "Accept-Encoding: gzip"} {
			r := request{path: "/assets/" + f.Name(), header: header, status: found, has: []string{noCache}}
			r.check(t, target.URL)
			resp, body := r.ask(t, target.URL)
			if got := unpacked(t, resp, body, header); got != string(want) {
				t.Errorf("%s with %q: %d bytes, want %d", r.path, header, len(got), len(want))
			}
			if got := resp.Header.Get("Content-Type"); strings.HasPrefix(got, "application/octet-stream") {
				t.Errorf("%s is served as %s", r.path, got)
			}
		}
	}
}

func unpacked(t *testing.T, resp *http.Response, body, accept string) string {
	t.Helper()
	if resp.Header.Get("Content-Encoding") == "" {
		return body
	}
	if accept == "" {
		t.Errorf("compressed (%s) for a client that cannot unpack", resp.Header.Get("Content-Encoding"))
	}
	zr, err := gzip.NewReader(bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// rewritten: a playlist that changed within its time stamp's second, to the
// same length, is a new one.
func rewritten(t *testing.T, target Target) {
	path := filepath.Join(target.Folder, "live.m3u8")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	resp, old := request{path: archive + "live.m3u8"}.ask(t, target.URL)
	changed := strings.Replace(old, "VERSION:7", "VERSION:9", 1)
	write(t, path+".new", changed)
	t.Cleanup(func() { write(t, path, old) })
	if err := os.Chtimes(path+".new", before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	for _, header := range validators(resp, before) {
		request{path: archive + "live.m3u8", header: header, status: found, has: []string{noCache}, body: changed}.check(t, target.URL)
	}
}

func validators(resp *http.Response, file os.FileInfo) []string {
	out := []string{"If-Modified-Since: " + file.ModTime().UTC().Format(http.TimeFormat)}
	if etag := resp.Header.Get("ETag"); etag != "" {
		out = append(out, "If-None-Match: "+etag)
	}
	return out
}

// revalidated: what a browser has of a recording it need not fetch again.
func revalidated(t *testing.T, target Target) {
	resp, _ := request{path: archive + segment}.ask(t, target.URL)
	name, value := "If-None-Match: ", resp.Header.Get("ETag")
	if value == "" {
		name, value = "If-Modified-Since: ", resp.Header.Get("Last-Modified")
	}
	if value == "" {
		t.Fatal("a segment has neither ETag nor Last-Modified")
	}
	request{path: archive + segment, header: name + value, status: []int{304}}.check(t, target.URL)
}

// streamed: what the worker has sent is with the viewer before the worker sends more.
func streamed(t *testing.T, target Target) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(target.URL + livePrefix + "slow.mp4")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, len("first"))
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "first" {
		t.Fatalf("the beginning did not arrive while the worker waited: %q, %v", first, err)
	}
	target.Worker.release <- struct{}{}
	if rest, err := io.ReadAll(resp.Body); err != nil || string(rest) != "second" {
		t.Fatalf("the rest is %q, %v", rest, err)
	}
}

// credentialsStay: what a viewer shows the page is not for a camera's worker.
func credentialsStay(t *testing.T, target Target) {
	for _, header := range []string{"Authorization: Basic dXNlcjpwYXNz", "Cookie: session=1"} {
		name, value, _ := strings.Cut(header, ": ")
		request{path: livePrefix + "index.m3u8", header: header, status: found}.check(t, target.URL)
		if got := target.Worker.header().Get(name); strings.Contains(got, value) {
			t.Errorf("the worker was sent %s: %s", name, got)
		}
	}
}

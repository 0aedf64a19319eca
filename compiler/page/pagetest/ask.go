package pagetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/page"
)

const (
	playlistType = "application/vnd.apple.mpegurl"
	patience     = 10 * time.Second
)

// request is one line of the table.
type request struct {
	name   string
	method string // GET if empty
	path   string // as it is sent
	header string // "Name: value"
	status []int  // any of these
	// has are headers of the answer ("Name: value", any letters' case in the
	// name, the value a prefix), lacks what none may contain.
	has   []string
	lacks string
	body  string // exactly; not looked at if empty
}

// ask sends r over a connection of its own, its path untouched (an HTTP client
// would clean it), and returns the answer with its body read.
func (r request) ask(t *testing.T, base string) (*http.Response, string) {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", u.Host, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // cannot fail on TCP
	method := r.method
	if method == "" {
		method = http.MethodGet
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, r.path, u.Host)
	if u.User != nil && !strings.HasPrefix(r.header, "Authorization:") {
		password, _ := u.User.Password()
		head += "Authorization: " + basic(u.User.Username(), password) + "\r\n"
	}
	if r.header != "" {
		head += r.header + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, r.path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, r.path, err)
	}
	return resp, string(body)
}

// check asks and compares.
func (r request) check(t *testing.T, base string) {
	t.Helper()
	resp, body := r.ask(t, base)
	if !slices.Contains(r.status, resp.StatusCode) {
		t.Fatalf("%s: status %d, want %v\n%.300s", r.path, resp.StatusCode, r.status, body)
	}
	for _, want := range r.has {
		name, value, _ := strings.Cut(want, ": ")
		if got := strings.Join(resp.Header.Values(name), " | "); !strings.HasPrefix(got, value) || got == "" {
			t.Errorf("%s: %s is %q, want %q", r.path, name, got, value)
		}
	}
	all := fmt.Sprint(resp.Header, body)
	if strings.Contains(all, secret) || r.lacks != "" && strings.Contains(all, r.lacks) {
		t.Errorf("%s: the answer holds what it must not:\n%.300s", r.path, all)
	}
	if r.body != "" && body != r.body {
		t.Errorf("%s: body is %.80q (%d bytes), want %.80q (%d bytes)", r.path, body, len(body), r.body, len(r.body))
	}
	r.checkSecurity(t, resp)
}

// checkSecurity: every answer carries the headers, but a server may refuse
// before it knows what was asked (400).
func (r request) checkSecurity(t *testing.T, resp *http.Response) {
	t.Helper()
	if resp.StatusCode == http.StatusBadRequest {
		return
	}
	for name, want := range page.Security() {
		got := resp.Header.Values(name)
		if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
			got = slices.Compact(got) // nginx finds out only after it has added them, and adds them again
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s is %q, want %q", r.path, name, got, want)
		}
	}
}

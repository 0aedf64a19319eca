package rtsp2hls

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
)

// credentials are a camera's user name and password. They have no String
// method that could show them, and are kept nowhere but in a connection.
type credentials struct{ username, password string }

// String says nothing, so that no log line can.
func (credentials) String() string { return "(credentials)" }

// GoString says nothing either.
func (c credentials) GoString() string { return c.String() }

// credentials reads the files of the configuration's secret; the zero value when there is none.
func (c *Camera) credentials() (credentials, error) {
	dir := c.o.SecretDir(c.cfg)
	if c.cfg.Credentials == "" || dir == "" {
		return credentials{}, nil
	}
	read := func(name string) (string, error) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("credentials %q: there is no file %s in %s", c.cfg.Credentials, name, dir)
		}
		if err != nil {
			return "", fmt.Errorf("credentials %q: %w", c.cfg.Credentials, err)
		}
		return strings.TrimRight(string(data), "\r\n"), nil
	}
	username, err := read("username")
	if err != nil {
		return credentials{}, err
	}
	password, err := read("password")
	if err != nil {
		return credentials{}, err
	}
	return credentials{username, password}, nil
}

// parseURL reads a camera's URL, which has no userinfo.
func parseURL(s string) (*base.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("the URL cannot be read: it is rtsp://HOST[:PORT]/PATH") // the error would repeat it
	}
	switch {
	case u.Scheme != "rtsp" && u.Scheme != "rtsps":
		return nil, fmt.Errorf("the URL begins with %q, not with rtsp:// or rtsps://", u.Scheme)
	case u.User != nil:
		return nil, errors.New("the URL has a user name in it: name a secret in credentials instead")
	case u.Hostname() == "":
		return nil, errors.New("the URL has no host: it is rtsp://HOST[:PORT]/PATH")
	}
	return base.ParseURL(s)
}

func (c credentials) userinfo() *url.Userinfo { return url.UserPassword(c.username, c.password) }

// hostPort is a URL's host and port, with the scheme's own port where none is given.
func hostPort(u *base.URL) string {
	std := url.URL(*u)
	port := std.Port()
	if port == "" {
		port = "554" // RFC 2326
		if u.Scheme == "rtsps" {
			port = "322" // RFC 7826
		}
	}
	return net.JoinHostPort(std.Hostname(), port)
}

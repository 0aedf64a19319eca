package reconciler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"camfleet.dev/reconciler/status"
)

// Client gives orders to a reconciler that runs on this machine.
type Client struct {
	// Dial connects to its socket.
	Dial func(ctx context.Context) (net.Conn, error)
}

// Status asks how things are.
func (c Client) Status(ctx context.Context) (status.Status, error) {
	var s status.Status
	err := c.call(ctx, http.MethodGet, statusPath, &s)
	return s, err
}

// Approve approves what is held of a commit, and returns how many changes that are.
func (c Client) Approve(ctx context.Context, commit string) (int, error) {
	var a answer
	err := c.call(ctx, http.MethodPost, approvePath+url.PathEscape(commit), &a)
	return a.Approved, err
}

// Suspend stops applying, until Resume.
func (c Client) Suspend(ctx context.Context, reason string) error {
	return c.call(ctx, http.MethodPost, suspendPath+"?"+url.Values{reasonParameter: {reason}}.Encode(), &answer{})
}

// Resume goes on applying.
func (c Client) Resume(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, resumePath, &answer{})
}

const (
	callTimeout = 10 * time.Second
	maxAnswer   = 64 << 20
)

func (c Client) call(ctx context.Context, method, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return c.Dial(ctx) },
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://camfleet"+path, nil)
	if err != nil {
		return fmt.Errorf("asking camfleet: %w", err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	var address *url.Error
	if errors.As(err, &address) {
		err = address.Err // its own words, not the socket's made-up URL
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading camfleet's answer: %w", err)
	}
	var a answer
	if resp.StatusCode != http.StatusOK {
		if json.Unmarshal(body, &a) == nil && a.Error != "" {
			return errors.New(a.Error)
		}
		return fmt.Errorf("camfleet answered %s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("reading camfleet's answer: %w", err)
	}
	return nil
}

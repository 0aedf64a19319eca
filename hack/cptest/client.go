package cptest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// client is the little of a Kubernetes client that starting needs; tests bring their own.
type client struct {
	http        *http.Client
	host, token string
}

func newClient(host string, ca []byte, token string) *client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &client{
		http: &http.Client{
			Timeout:   10 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: parallel},
		},
		host: host, token: token,
	}
}

// statusError is an answer that is not 2xx.
type statusError struct {
	code int
	what string
}

func (e *statusError) Error() string { return e.what }

// do sends a request, with body as JSON unless nil, and returns the answer's body.
// The token is sent to the apiserver only.
func (c *client) do(ctx context.Context, method, url string, body any) ([]byte, error) {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", method, url, err)
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, sent)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, url, err)
	}
	if strings.HasPrefix(url, c.host+"/") {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err // says method and URL itself
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, url, err)
	}
	if res.StatusCode/100 != 2 {
		return nil, &statusError{res.StatusCode, fmt.Sprintf("%s %s: %s: %.500s", method, url, res.Status, answer)}
	}
	return answer, nil
}

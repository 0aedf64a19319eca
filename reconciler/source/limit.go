package source

import (
	"errors"
	"io"
	"net/http"
)

var errTooLarge = errors.New("its answer is too large")

// maxListing bounds the list of a repository's branches, tags and pull
// requests (200,000 of them), and pages about errors.
const maxListing = 16 << 20

// boundedClient is an HTTP client whose answers end: what a server sends is
// not trusted to.
func boundedClient(pack int64) *http.Client {
	// What a pack is wrapped in is less than a 16th of it, and a little.
	return &http.Client{Transport: bounded{http.DefaultTransport, pack + pack/16 + 1<<16}}
}

type bounded struct {
	http.RoundTripper
	most int64
}

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	most := b.most
	if req.Method != http.MethodPost || resp.StatusCode != http.StatusOK {
		most = maxListing
	}
	resp.Body = &boundedBody{resp.Body, most}
	return resp, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

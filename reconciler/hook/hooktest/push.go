// Package hooktest posts to a hook as Git servers do.
package hooktest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// Sign is the HMAC-SHA256 of a body, in hex, as GitHub and Gitea send it.
func Sign(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// Push posts what GitHub posts when something was pushed, signed, and returns
// the code of the answer. An error is that there was none.
func Push(ctx context.Context, url, secret string) (code int, err error) {
	const body = `{"ref":"refs/heads/main"}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("telling %s of a push: %w", url, err)
	}
	req.Header.Set("X-Hub-Signature-256", "sha256="+Sign(secret, body))
	req.Header.Set("X-GitHub-Event", "push")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("telling of a push: %w", err)
	}
	resp.Body.Close() //nolint:errcheck // nothing of it is wanted but the code
	return resp.StatusCode, nil
}

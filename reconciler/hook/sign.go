package hook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strings"
)

// keys are the secrets, without blanks around them.
func (h *Handler) keys() ([][]byte, error) {
	if h.Secret == nil {
		return nil, nil
	}
	content, err := h.Secret()
	if err != nil {
		return nil, err
	}
	var keys [][]byte
	for line := range bytes.Lines(content) {
		if line = bytes.TrimSpace(line); len(line) > 0 && len(keys) < maxKeys {
			keys = append(keys, line)
		}
	}
	return keys, nil
}

const (
	maxKeys   = 4 // the old and the new, and some more
	maxClaims = 4
)

// claim is a signature that a call says to have: mac sees the body, and must
// then have come to want.
type claim struct {
	mac  hash.Hash
	want []byte
}

// claims are a call's signatures, one for each header and key; one that holds is enough.
type claims []claim

func (c claims) Write(p []byte) (int, error) {
	for _, one := range c {
		_, _ = one.mac.Write(p) // a hash takes everything
	}
	return len(p), nil
}

func (c claims) hold() bool {
	found := false
	for _, one := range c {
		found = hmac.Equal(one.mac.Sum(nil), one.want) || found
	}
	return found
}

// hexHeaders hold the HMAC-SHA256 of the body, in hex, after a prefix.
var hexHeaders = []struct{ name, prefix string }{
	{"X-Hub-Signature-256", "sha256="},
	{"X-Camfleet-Signature", "sha256="},
	{"X-Forgejo-Signature", ""},
	{"X-Gitea-Signature", ""},
	{"X-Hub-Signature", "sha256="}, // Bitbucket; GitHub's own of that name is SHA-1 and does not count
}

// claimed reads the signatures that a call has. It decides nothing: that is
// for hold, once the body has been seen.
func claimed(header http.Header, keys [][]byte) claims {
	var all claims
	for _, known := range hexHeaders {
		text, ok := strings.CutPrefix(header.Get(known.name), known.prefix)
		want, err := hex.DecodeString(text)
		if !ok || err != nil || len(want) != sha256.Size {
			continue
		}
		for _, key := range keys {
			all = append(all, claim{hmac.New(sha256.New, key), want})
		}
	}
	if given := header.Get("X-Gitlab-Token"); given != "" {
		for _, key := range keys {
			all = append(all, token(given, key))
		}
	}
	return append(all, standard(header, keys)...)
}

// token is a secret that is sent as it is: as a claim that the body has no part in.
func token(given string, key []byte) claim {
	// Of equal length, whatever was given, so that the time tells nothing.
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256(key)
	c := claim{mac: still{sha256.New()}, want: make([]byte, sha256.Size)}
	if subtle.ConstantTimeCompare(a[:], b[:]) == 1 {
		c.want = c.mac.Sum(nil)
	}
	return c
}

// still is a hash that does not look.
type still struct{ hash.Hash }

func (still) Write(p []byte) (int, error) { return len(p), nil }

// standard reads signatures after the Standard Webhooks specification, as
// GitLab makes them with a signing token: v1,BASE64, several of them apart by
// blanks, of ID.TIMESTAMP.BODY. An old timestamp is no harm, as little as any repetition.
func standard(header http.Header, keys [][]byte) claims {
	var all claims
	list := strings.Fields(header.Get("Webhook-Signature"))
	for _, one := range list[:min(len(list), maxClaims)] {
		text, ok := strings.CutPrefix(one, "v1,")
		want, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(want) != sha256.Size {
			continue
		}
		for _, key := range keys {
			if raw, ok := bytes.CutPrefix(key, []byte("whsec_")); ok {
				if decoded, err := base64.StdEncoding.DecodeString(string(raw)); err == nil {
					key = decoded
				}
			}
			c := claim{hmac.New(sha256.New, key), want}
			_, _ = c.mac.Write([]byte(header.Get("Webhook-Id") + "." + header.Get("Webhook-Timestamp") + "."))
			all = append(all, c)
		}
	}
	return all
}

type kind int

const (
	push kind = iota
	ping
	other
)

// event says what a call is about, by the headers that say it; a call without
// any is about a push.
func event(header http.Header) kind {
	for _, name := range []string{"X-Forgejo-Event", "X-Gitea-Event", "X-Github-Event", "X-Gitlab-Event", "X-Event-Key"} {
		switch header.Get(name) {
		case "":
			continue
		case "push", "Push Hook", "System Hook", "repo:push", "repo:refs_changed":
			return push
		case "ping", "diagnostics:ping":
			return ping
		}
		return other
	}
	return push
}

package engine

import (
	"encoding/json"
	"regexp"
	"strings"
)

// masked is a text of which something must not be shown. It is compared as it
// is, and shown without.
type masked struct{ text, shown string }

const hidden = "(redacted)"

// MarshalJSON shows what may be shown.
func (m masked) MarshalJSON() ([]byte, error) { return json.Marshal(m.shown) }

// redacted replaces every text of an object that may hold a secret by a masked
// one. Texts that hold JSON become that JSON, as they are compared in it.
func redacted(kind string, v any) any {
	o, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(o))
	for k, v := range o {
		if kind == "Secret" && (k == "data" || k == "stringData") {
			out[k] = hide(v)
			continue
		}
		out[k] = redact(k, v)
	}
	return out
}

// redact masks v, which stands under key.
func redact(key string, v any) any {
	switch v := v.(type) {
	case string:
		return redactText(key, v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = redact(key, v[i])
			if before, ok := at(v, i-1).(string); ok && sensitiveFlag(before) {
				out[i] = hide(v[i]) // --password hunter2
			}
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		named, _ := v["name"].(string)
		for k, inner := range v {
			out[k] = redact(k, inner)
			if k == "value" && sensitive(named) {
				out[k] = hide(inner) // an environment variable
			}
		}
		return out
	}
	return v
}

func at(list []any, i int) any {
	if i < 0 {
		return nil
	}
	return list[i]
}

// hide masks every text and number in v.
func hide(v any) any {
	switch v := v.(type) {
	case string:
		return masked{v, hidden}
	case json.Number:
		return masked{v.String(), hidden}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = hide(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, inner := range v {
			out[k] = hide(inner)
		}
		return out
	}
	return v
}

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func redactText(key, text string) any {
	if key == lastApplied || sensitive(key) {
		return masked{text, hidden}
	}
	if strings.HasPrefix(text, "{") {
		if inner, err := decode([]byte(text)); err == nil {
			return redact("", inner)
		}
	}
	if shown := Redact(text); shown != text {
		return masked{text, shown}
	}
	return text
}

// What is taken for a secret by its name. Names of Secrets (secretName,
// tlsSecret, credentials) are none, but a field that is called secret is.
var (
	sensitiveName = regexp.MustCompile(`(?i)(^|[-_.a-z0-9])(pass(word|wd|phrase)?|pwd|token|api[-_]?key|(private|secret|access)[-_]?key|authorization|bearer)$|^secret$|(client|shared|webhook|hmac|signing|consumer)secret$|[-_]secret$`)
	publicName    = regexp.MustCompile(`(?i)^automount|^(by|com|tres|sur|under|over)pass$`)
)

func sensitive(name string) bool {
	return sensitiveName.MatchString(name) && !publicName.MatchString(name)
}

func sensitiveFlag(arg string) bool {
	return strings.HasPrefix(arg, "-") && !strings.ContainsAny(arg, "= ") && sensitive(strings.TrimLeft(arg, "-"))
}

// What is taken for a secret by its form.
var (
	userInfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^\s"']*@`)
	query    = regexp.MustCompile(`(?i)([?&;][^=&\s"']*(?:user|login|pass|pwd|token|key|secret|sig|auth|session|cred)[^=&\s"']*=)[^&\s"'#]*`)
	setting  = regexp.MustCompile(`(?i)((?:^|[\s,;"'{(-])[a-z0-9_.-]*(?:password|passwd|passphrase|pwd|token|secret|api[-_]?key|private[-_]?key)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s"',;]+)`)
	scheme   = regexp.MustCompile(`(?i)\b((?:bearer|basic|digest)\s+)[A-Za-z0-9+/=._~-]{8,}`)
	pem      = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*-----|$)`)
	jwt      = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*`)
)

// Redact takes out of a text what looks like a secret: passwords in URLs and
// settings, tokens, private keys. It is a second line of defence; what is known
// to hold a secret is not shown at all.
func Redact(text string) string {
	text = pem.ReplaceAllString(text, hidden)
	text = userInfo.ReplaceAllString(text, "${1}"+hidden+"@")
	text = query.ReplaceAllString(text, "${1}"+hidden)
	text = setting.ReplaceAllString(text, "${1}"+hidden)
	text = scheme.ReplaceAllString(text, "${1}"+hidden)
	return jwt.ReplaceAllString(text, hidden)
}

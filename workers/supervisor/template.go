package supervisor

import (
	"fmt"
	"regexp"
	"strings"
)

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// Template is a path with {site}, {camera} and {secret} in it, such as
// /var/lib/camfleet/archive/{site}/{camera}.
type Template string

// Check refuses a placeholder that is not in allowed (without braces).
func (t Template) Check(allowed ...string) error {
	if t == "" {
		return fmt.Errorf("is empty; want a path, in which {%s} is replaced", strings.Join(allowed, "}, {"))
	}
	for _, p := range placeholder.FindAllString(string(t), -1) {
		if err := oneOf(strings.Trim(p, "{}"), allowed...); err != nil {
			return fmt.Errorf("%s in %q: %w", p, string(t), err)
		}
	}
	return nil
}

// Path puts a camera and its Secret's name in. They are checked names (Parse):
// none of them can leave the folder that it stands for.
func (t Template) Path(key Key, secret string) string {
	return strings.NewReplacer("{site}", key.Site, "{camera}", key.Camera, "{secret}", secret).Replace(string(t))
}

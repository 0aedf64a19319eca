package supervisor

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"camfleet.dev/schema"
)

const good = `{
  "site": "gate",
  "name": "north",
  "timeZone": "Europe/Madrid",
  "url": "rtsp://192.0.2.7:554/stream1",
  "credentials": "cameras",
  "transport": "tcp",
  "recording": {
    "enabled": true,
    "segment": "2s",
    "retention": {"age": "7d", "bytes": "64G"},
    "days": {"enabled": true, "retention": {"age": "30d"}}
  },
  "live": {"latency": "low"},
  "bitrate": "4Mbps"
}`

func TestParse(t *testing.T) {
	t.Parallel()
	c, err := Parse("camera.json", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "north" || c.Recording.Segment.Std() != 2*time.Second || c.Recording.Retention.Bytes != 64e9 {
		t.Errorf("%+v", c)
	}
}

// mistakes are camera.json files that must be refused: what is replaced in
// good, by what, and what the error says.
var mistakes = map[string]struct{ old, new, want string }{
	"empty":             {good, "", "camera.json:1:1: is empty"},
	"not JSON":          {`"gate",`, `"gate"`, "camera.json:3:3: not JSON: "},
	"cut off":           {good[50:], "", "camera.json:4:12: not JSON: it ends too early"},
	"two":               {good, good + good, "camera.json:16:2: there is more"},
	"null":              {good, "null", "site: "},
	"array":             {good, "[]", "camera.json:1:1: "},
	"unknown field":     {`"transport"`, `"transprot"`, `camera.json:7:3: unknown field "transprot"`},
	"wrong kind":        {`"tcp"`, `7`, "camera.json:7:16: transport: want a string, not a number"},
	"duration":          {`"2s"`, `"2 s"`, `"2 s" is not a duration such as 2s`},
	"huge duration":     {`"7d"`, `"999999999999d"`, "too large"},
	"no site":           {`"site": "gate",`, ``, `site: "" is not a name`},
	"name is a path":    {`"north"`, `"../north"`, "camera.json:3:3: name: "},
	"name is long":      {`"north"`, `"` + strings.Repeat("n", 41) + `"`, "at most 40"},
	"capital":           {`"north"`, `"North"`, "is not a name"},
	"no zone":           {`"Europe/Madrid"`, `""`, "camera.json:4:3: timeZone: is missing"},
	"wrong zone":        {`"Europe/Madrid"`, `"Europe/Madird"`, "is no time zone"},
	"zone is a path":    {`"Europe/Madrid"`, `"../../etc/passwd"`, "is no time zone"},
	"http":              {`rtsp://192`, `http://192`, "camera.json:5:3: url: want rtsp:// or rtsps://"},
	"no host":           {`192.0.2.7:554`, ``, "has no host"},
	"user in the URL":   {`rtsp://192`, `rtsp://admin:hunter2@192`, "url: holds a user or a password"},
	"broken URL":        {`rtsp://192`, `rtsp://admin:hunter2@%zz`, "url: is not a URL"},
	"secret is a path":  {`"cameras"`, `"../cameras"`, "is not a Secret's name"},
	"secret is hidden":  {`"cameras"`, `".cameras"`, "is not a Secret's name"},
	"transport":         {`"tcp"`, `"sctp"`, `"sctp" is not allowed; want tcp or udp`},
	"latency":           {`"low"`, `"lowest"`, "camera.json:14:12: live.latency: "},
	"segment too short": {`"2s"`, `"1ms"`, "camera.json:10:5: recording.segment: is 1ms; want 500ms to 60s"},
	"too big":           {good, strings.Repeat(" ", maxConfig) + good, "has at most"},
}

func TestMistakesHaveAPlaceAndAWayOut(t *testing.T) {
	t.Parallel()
	for name, m := range mistakes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("camera.json", []byte(strings.Replace(good, m.old, m.new, 1)))
			var place *ConfigError
			if !errors.As(err, &place) || !strings.Contains(err.Error(), m.want) {
				t.Errorf("error %v, want %q", err, m.want)
			} else if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

// FuzzParse: no input panics, every refusal names the file, and what is
// accepted is accepted again in the same way.
func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	for _, m := range mistakes {
		if seed := strings.Replace(good, m.old, m.new, 1); len(seed) < 4096 {
			f.Add([]byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("camera.json", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "camera.json:") {
				t.Errorf("no place: %v", err)
			}
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var d schema.WorkerCamera
		if d, err = Parse("camera.json", again); err != nil || d != c {
			t.Errorf("%+v became %+v, %v", c, d, err)
		}
	})
}

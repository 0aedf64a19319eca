package schema

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is written as a whole number and a unit: "2s", "15m", "12h", "7d".
type Duration time.Duration

// Size is a number of bytes, written as a Kubernetes quantity: "500Gi", "64G".
type Size int64

// Bitrate is a number of bits per second: "4Mbps", "800kbps".
type Bitrate int64

type unit struct {
	suffix string
	factor int64
}

// Longest suffix first, so that "Mi" is not read as "M" with an "i" left over.
var (
	durationUnits = []unit{{"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}}
	sizeUnits     = []unit{{"Ki", 1 << 10}, {"Mi", 1 << 20}, {"Gi", 1 << 30}, {"Ti", 1 << 40}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12}, {"", 1}}
	bitrateUnits  = []unit{{"kbps", 1e3}, {"Mbps", 1e6}, {"Gbps", 1e9}, {"bps", 1}}
)

// ParseDuration reads a Duration; its error names the allowed form.
func ParseDuration(s string) (Duration, error) {
	n, err := parseUnit(s, durationUnits, "a duration such as 2s, 15m, 12h or 7d")
	return Duration(n), err
}

// ParseSize reads a Size; its error names the allowed form.
func ParseSize(s string) (Size, error) {
	n, err := parseUnit(s, sizeUnits, "a size such as 500Gi or 64G")
	return Size(n), err
}

// ParseBitrate reads a Bitrate; its error names the allowed form.
func ParseBitrate(s string) (Bitrate, error) {
	n, err := parseUnit(s, bitrateUnits, "a bitrate such as 4Mbps or 800kbps")
	return Bitrate(n), err
}

func parseUnit(s string, units []unit, form string) (int64, error) {
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n > math.MaxInt64/u.factor {
			return 0, fmt.Errorf("%q is too large for %s", s, form)
		}
		return n * u.factor, nil
	}
	return 0, fmt.Errorf("%q is not %s", s, form)
}

func formatUnit(n int64, units []unit) string {
	best := unit{"", 1}
	for _, u := range units {
		if n%u.factor == 0 && n >= u.factor && (u.factor > best.factor || best.suffix == "" && u.factor == best.factor) {
			best = u
		}
	}
	return strconv.FormatInt(n/best.factor, 10) + best.suffix
}

func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	return formatUnit(int64(d), durationUnits)
}

func (s Size) String() string { return formatUnit(int64(s), sizeUnits) }

func (b Bitrate) String() string {
	if b == 0 {
		return "0bps"
	}
	return formatUnit(int64(b), bitrateUnits)
}

// Std is d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }
func (s Size) MarshalJSON() ([]byte, error)     { return json.Marshal(s.String()) }
func (b Bitrate) MarshalJSON() ([]byte, error)  { return json.Marshal(b.String()) }

func (d *Duration) UnmarshalJSON(b []byte) error {
	return unmarshalUnit(b, (*int64)(d), wrap(ParseDuration))
}
func (s *Size) UnmarshalJSON(b []byte) error { return unmarshalUnit(b, (*int64)(s), wrap(ParseSize)) }
func (r *Bitrate) UnmarshalJSON(b []byte) error {
	return unmarshalUnit(b, (*int64)(r), wrap(ParseBitrate))
}

func wrap[T ~int64](parse func(string) (T, error)) func(string) (int64, error) {
	return func(s string) (int64, error) {
		n, err := parse(s)
		return int64(n), err
	}
}

func unmarshalUnit(b []byte, to *int64, parse func(string) (int64, error)) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	n, err := parse(s)
	if err != nil {
		return err
	}
	*to = n
	return nil
}

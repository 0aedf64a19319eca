package fakecam

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
)

// Faults are what is wrong with a camera. The zero value is a camera in good
// order. They are switched at run time with Server.SetFaults.
type Faults struct {
	// Drop is the share of RTP packets that are lost on the way, 0 to 1.
	Drop float64
	// Reorder is the share of RTP packets that are overtaken by the next one.
	Reorder float64
	// Seed makes Drop and Reorder come out the same again.
	Seed uint64

	// Stall: connections stay open and requests are answered, but no frame is sent.
	Stall bool
	// HalfOpen: TCP connections are accepted and then nothing is ever answered
	// or sent, as by a camera whose firmware hangs.
	HalfOpen bool

	// Unauthorized: every password is wrong (SetCredentials changes it instead).
	Unauthorized bool
	// NotFound: the camera does not know its path.
	NotFound bool
	// Redirect answers DESCRIBE with 302 to this URL.
	Redirect string

	// Clip switches to another clip with the same tracks, hence to other
	// parameter sets: at its next key frame, …
	Clip string
	// … or, with MidGOP, between two key frames, where no decoder expects it.
	MidGOP bool
	// NoIDR leaves out the key frames, without a gap in the sequence numbers.
	NoIDR bool
	// Jump is added to the RTP timestamps; see WrapIn for their overflow.
	Jump time.Duration

	// NoReports stops the RTCP sender reports, which come every second otherwise.
	NoReports bool
	// Skew is how much the clock in those reports is ahead.
	Skew time.Duration
	// SDPOnly sends parameter sets in the SDP only, StreamOnly in the stream
	// only; they are in both otherwise.
	SDPOnly, StreamOnly bool
}

// WrapIn returns the Jump after which a video's 32-bit RTP timestamps overflow
// in d, counted from now.
func WrapIn(d time.Duration, now time.Time) time.Duration {
	const clock = 90000
	ticks := now.Unix()*clock + int64(now.Nanosecond())*clock/int64(time.Second)
	left := int64(1)<<32 - ticks%(1<<32) - int64(d.Seconds()*clock)
	return time.Duration(float64(left) / clock * float64(time.Second))
}

// check refuses what makes no sense, apart from the clip.
func (f Faults) check() error {
	for _, share := range []float64{f.Drop, f.Reorder} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("a share of packets is from 0 to 1, not %v", share)
		}
	}
	if f.SDPOnly && f.StreamOnly {
		return fmt.Errorf("sdponly and streamonly: parameter sets must be somewhere")
	}
	if f.MidGOP && f.Clip == "" {
		return fmt.Errorf("midgop needs clip=NAME, the clip to switch to")
	}
	if f.Redirect != "" {
		if _, err := base.ParseURL(f.Redirect); err != nil {
			return fmt.Errorf("redirect needs an RTSP URL: %w", err)
		}
	}
	return nil
}

// ParseFaults reads faults as a command line or a camera's URL gives them:
// "drop=0.05&reorder=0.01&seed=7&stall&jump=1h", with commas or ampersands.
// Names: drop reorder seed stall halfopen unauthorized notfound redirect clip
// midgop noidr jump skew noreports sdponly streamonly.
func ParseFaults(text string) (Faults, error) {
	var f Faults
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '&' }) {
		name, value, _ := strings.Cut(part, "=")
		value, err := url.QueryUnescape(value)
		if err == nil {
			err = f.set(name, value)
		}
		if err != nil {
			return Faults{}, fmt.Errorf("fault %q: %w", name, err)
		}
	}
	return f, f.check()
}

func (f *Faults) set(name, value string) (err error) {
	switch name {
	case "drop":
		f.Drop, err = strconv.ParseFloat(value, 64)
	case "reorder":
		f.Reorder, err = strconv.ParseFloat(value, 64)
	case "seed":
		f.Seed, err = strconv.ParseUint(value, 10, 64)
	case "jump":
		f.Jump, err = time.ParseDuration(value)
	case "skew":
		f.Skew, err = time.ParseDuration(value)
	case "redirect":
		f.Redirect = value
	case "clip":
		f.Clip = value
	default:
		var on *bool
		if on = f.flag(name); on == nil {
			return fmt.Errorf("there is no such fault: use drop reorder seed stall halfopen unauthorized notfound redirect clip midgop noidr jump skew noreports sdponly streamonly")
		}
		if *on = true; value != "" {
			*on, err = strconv.ParseBool(value)
		}
	}
	return err
}

func (f *Faults) flag(name string) *bool {
	return map[string]*bool{
		"stall": &f.Stall, "halfopen": &f.HalfOpen, "unauthorized": &f.Unauthorized, "notfound": &f.NotFound,
		"midgop": &f.MidGOP, "noidr": &f.NoIDR, "noreports": &f.NoReports, "sdponly": &f.SDPOnly, "streamonly": &f.StreamOnly,
	}[name]
}

// ticks converts a duration, without overflow for some years.
func ticks(d time.Duration, clock int) int64 {
	return int64(math.Round(d.Seconds() * float64(clock)))
}

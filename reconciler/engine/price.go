package engine

import (
	"fmt"
	"time"
)

// Gap is how long a camera does not record when its Pod is made anew: the old
// worker ends its segment, the new one starts, connects, and waits for a key
// frame. An estimate: it holds where the image is on the node already, and for
// cameras that send a key frame every second or two.
const Gap = 4 * time.Second

// Price is what a change set costs in recordings.
type Price struct {
	Cameras int     `json:"cameras"` // that are replaced while they record
	Later   int     `json:"later"`   // of them, those that wait for their turn or an approval
	Seconds float64 `json:"seconds"` // of recording that each loses, about
}

// Price says how many cameras lose how much. On a host it is zero: nothing is
// known there of what a camera does.
func (s ChangeSet) Price() Price {
	p := Price{Seconds: Gap.Seconds()}
	for _, c := range s.Changes {
		later := (c.Action == Waiting || c.Action == Held) && c.Tried == Replaced
		if later {
			c.Action = Replaced
		}
		if c.darkens() && c.step.Live.Pod.NodeGone.IsZero() && c.step.Live.Pod.Ending.IsZero() {
			p.Cameras++
			if later {
				p.Later++
			}
		}
	}
	return p
}

// String is the price in words, or "" when nothing is lost.
func (p Price) String() string {
	if p.Cameras == 0 {
		return ""
	}
	later := ""
	if p.Later == p.Cameras {
		later = " later"
	} else if p.Later > 0 {
		later = fmt.Sprintf(" (%d of them later)", p.Later)
	}
	each := "each "
	if p.Cameras == 1 {
		each = ""
	}
	return fmt.Sprintf("%s replaced%s, %s≈ %.0f s of recording lost", count(p.Cameras, "camera"), later, each, p.Seconds)
}

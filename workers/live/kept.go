package live

import (
	"bytes"
	"slices"

	"camfleet.dev/workers/media"
)

// keptUnits are the units since the last key frame: slices only, bounded.
type keptUnits struct {
	units []media.Unit
	bytes int
}

// add keeps u, or starts over with it when it is a key frame.
func (k *keptUnits) add(u media.Unit, video bool) {
	if video && u.Random {
		k.clear()
	} else if len(k.units) == 0 {
		return // nothing to decode it from
	}
	for _, b := range u.AU {
		k.bytes += len(b)
	}
	if k.bytes > maxKeptBytes || len(k.units) >= maxKeptUnits {
		k.clear()
		return
	}
	k.units = append(k.units, u)
}

// clear lets go of the units and keeps their array.
func (k *keptUnits) clear() {
	clear(k.units)
	k.units, k.bytes = k.units[:0], 0
}

func (k *keptUnits) snapshot() []media.Unit { return slices.Clone(k.units) }

// sameTracks tells whether an output made for a can go on with b.
func sameTracks(a, b []media.Track) bool {
	return slices.EqualFunc(a, b, func(x, y media.Track) bool {
		return x.Codec == y.Codec && x.ClockRate == y.ClockRate && x.Channels == y.Channels &&
			bytes.Equal(x.VPS, y.VPS) && bytes.Equal(x.SPS, y.SPS) && bytes.Equal(x.PPS, y.PPS) &&
			sameAAC(x, y)
	})
}

func sameAAC(x, y media.Track) bool {
	if x.AAC == nil || y.AAC == nil {
		return x.AAC == y.AAC
	}
	return *x.AAC == *y.AAC
}

package rtsp2hls

import (
	"fmt"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"camfleet.dev/workers/media"
)

// initSegment is the initialization segment of tracks: track IDs count from 1.
func initSegment(tracks []media.Track) ([]byte, error) {
	var in fmp4.Init
	for i, t := range tracks {
		c, err := codec(t)
		if err != nil {
			return nil, err
		}
		in.Tracks = append(in.Tracks, &fmp4.InitTrack{ID: i + 1, TimeScale: uint32(t.ClockRate), Codec: c})
	}
	var b seekablebuffer.Buffer
	if err := in.Marshal(&b); err != nil {
		return nil, fmt.Errorf("make the initialization segment: %w", err)
	}
	return b.Bytes(), nil
}

func codec(t media.Track) (codecs.Codec, error) {
	switch t.Codec {
	case media.H264:
		return &codecs.H264{SPS: t.SPS, PPS: t.PPS}, nil
	case media.H265:
		return &codecs.H265{VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}, nil
	case media.AAC:
		return &codecs.MPEG4Audio{Config: *t.AAC}, nil
	case media.Opus:
		return &codecs.Opus{ChannelCount: t.Channels}, nil
	}
	return nil, fmt.Errorf("codec %q cannot be recorded", t.Codec)
}

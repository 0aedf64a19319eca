package fakecam

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts/codecs"

	"camfleet.dev/workers/media"
)

// elementary is one stream of a file, demultiplexed.
type elementary struct {
	codec    media.Codec
	aac      *mpeg4audio.AudioSpecificConfig
	channels int // of Opus
	aus      []accessUnit
}

// accessUnit is a frame: NAL units, or one audio frame. Times are in 1/90000 s.
type accessUnit struct {
	nalus    [][]byte
	pts, dts int64
}

// demuxTS reads the tracks of an MPEG-TS file that a camera can have, video first.
func demuxTS(data []byte) ([]elementary, error) {
	r := &mpegts.Reader{R: bytes.NewReader(data)}
	if err := r.Initialize(); err != nil {
		return nil, fmt.Errorf("reading MPEG-TS: %w", err)
	}
	var broken error
	r.OnDecodeError(func(err error) { broken = errors.Join(broken, err) })
	var video, audio []*elementary
	for _, t := range r.Tracks() {
		es := &elementary{}
		switch codec := t.Codec.(type) {
		case *codecs.H264:
			es.codec = media.H264
			r.OnDataH264(t, es.addVideo)
		case *codecs.H265:
			es.codec = media.H265
			r.OnDataH265(t, es.addVideo)
		case *codecs.MPEG4Audio:
			es.codec, es.aac = media.AAC, &codec.Config
			r.OnDataMPEG4Audio(t, es.addAudio)
		case *codecs.Opus:
			es.codec, es.channels = media.Opus, codec.Desc.ChannelCount()
			r.OnDataOpus(t, es.addAudio)
		default:
			continue
		}
		if es.codec.IsVideo() {
			video = append(video, es)
		} else {
			audio = append(audio, es)
		}
	}
	for {
		err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading MPEG-TS: %w", err)
		}
		if broken != nil {
			return nil, fmt.Errorf("damaged MPEG-TS: %w", broken)
		}
	}
	var all []elementary
	for _, es := range append(video, audio...) {
		all = append(all, *es)
	}
	return all, nil
}

func (es *elementary) addVideo(pts, dts int64, au [][]byte) error {
	// The reader may use its buffers again.
	nalus := make([][]byte, len(au))
	for i, nalu := range au {
		nalus[i] = bytes.Clone(nalu)
	}
	es.aus = append(es.aus, accessUnit{nalus: nalus, pts: pts, dts: dts})
	return nil
}

func (es *elementary) addAudio(pts int64, frames [][]byte) error {
	for _, frame := range frames {
		if len(frame) == 0 {
			continue
		}
		es.aus = append(es.aus, accessUnit{nalus: [][]byte{bytes.Clone(frame)}, pts: pts, dts: pts})
	}
	return nil
}

package fakecam

import (
	"hash/fnv"
	"strings"
)

// anyCamera is the camera of a path that nobody has configured: clip and faults
// from its query, the rest from Default.
func (s *Server) anyCamera(path string) (Camera, error) {
	config := s.Default
	bare, query, _ := strings.Cut(path, "?")
	faults, clip, err := fromQuery(query)
	if err != nil {
		return Camera{}, err
	}
	if faults != (Faults{}) {
		config.Faults = faults
	}
	switch {
	case clip != "":
		config.Clip = clip
	case config.Clip == "":
		config.Clip = [...]string{Quiet, Motion}[hash(bare)%2]
	}
	return config, nil
}

// fromQuery reads a camera's clip and faults from its URL's query. There, clip
// is what the camera plays from the start, not a change.
func fromQuery(query string) (f Faults, clip string, err error) {
	var rest []string
	for part := range strings.SplitSeq(query, "&") {
		if name, ok := strings.CutPrefix(part, "clip="); ok && clip == "" {
			clip = name
			continue
		}
		rest = append(rest, part)
	}
	f, err = ParseFaults(strings.Join(rest, "&"))
	return f, clip, err
}

func hash(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

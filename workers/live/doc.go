// Package live shows one camera as Low-Latency HLS (RFC 8216bis) while somebody
// watches, and costs next to nothing while nobody does.
//
//	rtsp2hls ─► Stream (media.Sink) ─► output ─► gohlslib.Muxer
//	                    ▲                  ▲
//	                ServeHTTP ─────────────┘  index.m3u8, playlists, parts, segments
//
// A Stream keeps the units since the last key frame: the same slices that the
// recorder holds until its segment is written. The first request for index.m3u8
// starts an output, which is fed those units at once; the output ends when
// nothing was asked for during Options.Idle.
//
// Three things that gohlslib (v2.4.3) leaves open are closed here:
//
//   - its handlers wait without a context. They are called only for what is known
//     to be there, and the waiting (blocking reload, preload hint) is done by us,
//     within a bound and until the client goes away;
//   - an unknown name answers 200 with nothing. Here it is 404;
//   - it never writes EXT-X-DISCONTINUITY and its init segment is frozen. A change
//     of parameter sets therefore makes a new output with a new generation: what
//     belongs to the old one is 404, and the player loads index.m3u8 again. A
//     camera that comes back with the same parameters goes on in the same
//     output, its timestamps shifted to follow the last frame.
//
// DESIGN.md holds the invariants and what was measured.
package live

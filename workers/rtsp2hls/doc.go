// Package rtsp2hls is one camera's worker: it keeps an RTSP connection, makes
// access units of what arrives, and hands them to two sinks, the recorder
// (archive) and the live view. See DESIGN.md beside it.
//
//	camera ─RTP─► depacketizer ─► normalizer ─► ingest ─► recorder ─► archive.Writer
//	                                               └────► live (media.Sink)
package rtsp2hls

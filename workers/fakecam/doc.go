// Package fakecam is a simulated camera: a real RTSP server that plays clips of
// our own making, paced by the wall clock, with the faults that real cameras
// have, on demand. The demo, the tests and the benchmarks run against it.
//
// Frame n of a camera is sent at the moment n/fps since 1970, shows the clip's
// frame n modulo its length, and has the RTP timestamp that n gives. Two
// connections to a camera, or one before and one after a reconnect, therefore
// see the same frame at the same time with the same timestamp, and a screenshot
// of the frame counter tells how old a picture is (ReadCounter, SentAt).
//
// A camera that nobody plays costs nothing: its frames are sent by a goroutine
// that ends with the last reader.
package fakecam

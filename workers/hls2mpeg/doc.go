// Package hls2mpeg joins the segments of an archive into MP4 files without
// touching what is in them: the file of a local day (Day, Run, RunAll), or of any
// time between two moments (Export).
//
//	journal, moofs ─► planner ─► plan: sample tables, time line      (pass 1)
//	                              │
//	segments' media ─► copier ─► <name>.part ─► verify ─► rename ─► manifest
//
// The rules for time, gaps, damage and changed parameters are in workers/DESIGN.md.
// Boxes are those of ISO/IEC 14496-12 (MP4), -14 and -15 (what is in sample entries).
package hls2mpeg

// Package supervisor runs the cameras of one worker process: as many as its
// configuration folder names, each alone. A camera whose work ends or panics
// starts again with back-off; the others do not notice.
//
//	folder (camera.json …) ─► Folder ─► Supervisor.Set ─► one goroutine per camera
//	                                        ▲
//	            /live /healthz /metrics ────┘ Handler
package supervisor

package cluster

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"camfleet.dev/reconciler/engine"
)

// pod is an entry of a Pod with this status (JSON).
func podEntry(t *testing.T, status string) *entry {
	t.Helper()
	e, err := newEntry(live(t, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"camera-north","namespace":"n","uid":"u",`+
		`"creationTimestamp":"2026-01-01T00:00:00Z","labels":{"camfleet.dev/role":"camera","camfleet.dev/camera":"north"}},`+
		`"spec":{"nodeName":"edge-1"},"status":`+status+`}`, applied(`{"f:spec":{}}`)))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestPodState: why a Pod is not ready is said in the words of whoever knows best.
func TestPodState(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status string
		want   engine.Pod
	}{
		"just made": {`{"phase":"Pending"}`, engine.Pod{Phase: "Pending"}},
		"ready": {
			`{"phase":"Running","conditions":[{"type":"PodScheduled","status":"True"},{"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:05Z"}],` +
				`"containerStatuses":[{"name":"rtsp2hls","restartCount":2,"state":{"running":{}},"lastState":{"terminated":{"reason":"Error","exitCode":1}}}]}`,
			engine.Pod{Phase: "Running", Ready: true, Restarts: 2, Since: time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)},
		},
		"not scheduled": {
			`{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/2 nodes are available"}]}`,
			engine.Pod{Phase: "Pending", Reason: "Unschedulable", Message: "0/2 nodes are available"},
		},
		"starting": {
			`{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"True"}],"containerStatuses":[{"state":{"waiting":{"reason":"ContainerCreating"}}}]}`,
			engine.Pod{Phase: "Pending", Reason: "ContainerCreating"},
		},
		"no image": {
			`{"phase":"Pending","conditions":[{"type":"Ready","status":"False","reason":"ContainersNotReady"}],` +
				`"containerStatuses":[{"state":{"waiting":{"reason":"ImagePullBackOff","message":"Back-off pulling image"}}}]}`,
			engine.Pod{Phase: "Pending", Reason: "ImagePullBackOff", Message: "Back-off pulling image"},
		},
		"crashing": {
			`{"phase":"Running","containerStatuses":[{"restartCount":7,"state":{"waiting":{"reason":"CrashLoopBackOff","message":"back-off 5m0s"}},` +
				`"lastState":{"terminated":{"reason":"OOMKilled","exitCode":137}}}]}`,
			engine.Pod{Phase: "Running", Restarts: 7, Reason: "CrashLoopBackOff", Message: "back-off 5m0s; it ended with OOMKilled, exit code 137"},
		},
		"an init container crashes": {
			`{"phase":"Pending","initContainerStatuses":[{"state":{"terminated":{"reason":"Error","exitCode":2}}}],"containerStatuses":[{"state":{"waiting":{"reason":"PodInitializing"}}}]}`,
			engine.Pod{Phase: "Pending", Reason: "Error", Message: "it ended with Error, exit code 2"},
		},
		"evicted": {
			`{"phase":"Failed","reason":"Evicted","message":"The node was low on resource: memory.","containerStatuses":[{"state":{"terminated":{"reason":"Error","exitCode":137}}}]}`,
			engine.Pod{Phase: "Failed", Reason: "Evicted", Message: "The node was low on resource: memory."},
		},
		"not ready": {
			`{"phase":"Running","conditions":[{"type":"Ready","status":"False","reason":"ContainersNotReady","message":"containers with unready status: [rtsp2hls]","lastTransitionTime":"2026-01-01T00:00:05Z"}]}`,
			engine.Pod{Phase: "Running", Reason: "ContainersNotReady", Message: "containers with unready status: [rtsp2hls]", Since: time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)},
		},
		"nobody knows": {`{}`, engine.Pod{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.Node, c.want.Created = "edge-1", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			got := *podEntry(t, c.status).live.Pod
			got.Created, got.Since = got.Created.UTC(), got.Since.UTC()
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// TestSame: nobody is woken for what changes all the time.
func TestSame(t *testing.T) {
	t.Parallel()
	const running = `{"phase":"Running","conditions":[{"type":"Ready","status":"False"}],"containerStatuses":[{"restartCount":1,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]}`
	for status, same := range map[string]bool{
		running: true,
		strings.ReplaceAll(running, `"restartCount":1`, `"restartCount":9`):                           true,
		strings.ReplaceAll(running, "CrashLoopBackOff", "Error"):                                      true,
		strings.ReplaceAll(running, `"Running"`, `"Pending"`):                                         true,
		strings.ReplaceAll(running, `{"phase"`, `{"podIPs":[{"ip":"10.0.0.1"}],"phase"`):              true,
		strings.ReplaceAll(running, `"status":"False"`, `"status":"True"`):                            false,
		strings.ReplaceAll(running, `"Running"`, `"Failed"`):                                          false,
		strings.ReplaceAll(running, `"Running"`, `"Succeeded"`):                                       false,
		strings.ReplaceAll(running, `"False"`, `"False","lastTransitionTime":"2026-01-01T00:00:05Z"`): true,
	} {
		if got := podEntry(t, running).same(podEntry(t, status)); got != same {
			t.Errorf("%s\nsame: %t, want %t", status, got, same)
		}
	}
	for what, change := range map[string]func(*entry){
		"another object":    func(e *entry) { e.UID = "v" },
		"a field":           func(e *entry) { e.live.Body = []byte(`{}`) },
		"kept":              func(e *entry) { e.live.Keep = true },
		"not ours any more": func(e *entry) { e.ours = false },
		"another owner":     func(e *entry) { e.owner = "v" },
		"no state":          func(e *entry) { e.state = nil },
	} {
		e := podEntry(t, running)
		change(e)
		if e.same(podEntry(t, running)) || podEntry(t, running).same(e) {
			t.Errorf("%s: it is taken for the same", what)
		}
	}
}

// TestStatesOfOthers reads what is kept of other kinds.
func TestStatesOfOthers(t *testing.T) {
	t.Parallel()
	read := func(text string) state {
		e, err := newEntry(live(t, text, `[]`))
		if err != nil {
			t.Fatal(err)
		}
		return e.state
	}
	const meta = `"metadata":{"name":"a","namespace":"n","creationTimestamp":"2026-01-01T00:00:00Z"}`
	cron := read(`{"apiVersion":"batch/v1","kind":"CronJob",` + meta + `,"spec":{"schedule":"30 6 * * *","timeZone":"Europe/Berlin","suspend":true},` +
		`"status":{"active":[{"name":"x"}],"lastScheduleTime":"2026-01-02T05:30:00Z","lastSuccessfulTime":"2026-01-02T05:31:00Z"}}`).(*cronState)
	if cron.Schedule != "30 6 * * *" || cron.TimeZone != "Europe/Berlin" || !cron.Suspend || cron.Active != 1 ||
		cron.Last.UTC().Hour() != 5 || !cron.Success.After(cron.Last) || cron.Created.IsZero() {
		t.Errorf("CronJob: %+v", cron)
	}
	claim := read(`{"apiVersion":"v1","kind":"PersistentVolumeClaim",` + meta + `,"spec":{"storageClassName":"fast","resources":{"requests":{"storage":"2Ti"}}},` +
		`"status":{"phase":"Bound","capacity":{"storage":"1Ti"},"conditions":[{"type":"Resizing","status":"True"},{"type":"FileSystemResizePending","status":"False"}]}}`).(*claimState)
	if claim.Phase != "Bound" || claim.Wanted != "2Ti" || claim.Capacity != "1Ti" || claim.Class != "fast" || claim.Resizing != "Resizing" {
		t.Errorf("claim: %+v", claim)
	}
	for condition, want := range map[string]string{
		"Unused": "", "SomethingNew": "", "Resizing": "Resizing; r; m", "FileSystemResizePending": "FileSystemResizePending; r; m",
		"ControllerResizeError": "ControllerResizeError; r; m", "NodeResizeError": "NodeResizeError; r; m",
		"ModifyingVolume": "ModifyingVolume; r; m", "ModifyVolumeError": "ModifyVolumeError; r; m",
	} {
		one := read(`{"apiVersion":"v1","kind":"PersistentVolumeClaim",` + meta + `,"status":{"phase":"Bound","conditions":[` +
			`{"type":"` + condition + `","status":"True","reason":"r","message":"m"}]}}`).(*claimState)
		if one.Resizing != want {
			t.Errorf("%s: it says %q, want %q", condition, one.Resizing, want)
		}
	}
	page := read(`{"apiVersion":"apps/v1","kind":"Deployment",` + meta + `,"spec":{"replicas":2},"status":{"availableReplicas":1,"updatedReplicas":2,` +
		`"conditions":[{"type":"Progressing","status":"True","reason":"Fine"},{"type":"Available","status":"False","reason":"MinimumReplicasUnavailable","message":"m","lastTransitionTime":"2026-01-01T00:00:05Z"}]}}`).(*deploymentState)
	if page.Desired != 2 || page.Available != 1 || page.Updated != 2 || page.Reason != "MinimumReplicasUnavailable" || page.Since.IsZero() {
		t.Errorf("Deployment: %+v", page)
	}
	if s := read(`{"apiVersion":"v1","kind":"ConfigMap",` + meta + `}`); s != nil {
		t.Errorf("ConfigMap: %+v", s)
	}
}

package health_test

import (
	"strings"
	"testing"
	"time"

	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/health"
)

var (
	now   = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	began = now.Add(-10 * time.Minute)
)

// thing is a named object of site gate.
func thing(kind, name, camera, role string) cluster.Thing {
	return cluster.Thing{ID: object.ID{APIVersion: "v1", Kind: kind, Namespace: "camfleet-gate", Name: name}, Site: "gate", Camera: camera, Role: role}
}

// pod is the Pod of camera north: it runs on edge-1 and is not ready, unless it is changed.
func pod(change func(*cluster.Pod)) cluster.Pod {
	p := cluster.Pod{
		Thing: thing("Pod", "camera-north", "north", object.RoleCamera), Phase: "Running", Since: began, Created: began.Add(-time.Hour),
		Node: "edge-1", IP: "10.244.1.7", Reason: "ContainersNotReady", Message: "containers with unready status: [rtsp2hls]",
	}
	if change != nil {
		change(&p)
	}
	return p
}

func nodes(change func(*cluster.Node)) []cluster.Node {
	n := cluster.Node{Name: "edge-1", Ready: true, Since: began}
	if change != nil {
		change(&n)
	}
	return []cluster.Node{{Name: "other", Ready: true}, n}
}

func waitsFor(reason, message string) func(*cluster.Pod) {
	return func(p *cluster.Pod) {
		p.Phase, p.Node, p.IP, p.Reason, p.Message, p.Since = "Pending", "", "", reason, message, time.Time{}
	}
}

func says(reason, message string) func(*cluster.Pod) {
	return func(p *cluster.Pod) { p.Phase, p.Reason, p.Message = "Pending", reason, message }
}

func TestCameras(t *testing.T) {
	t.Parallel()
	floats, pinned := health.Camera{Site: "gate", Name: "north"}, health.Camera{Site: "gate", Name: "north", Node: "edge-1"}
	gone := func(p *cluster.Pod) { p.NodeGone, p.Ready = began, true }
	for name, c := range map[string]struct {
		want    health.Camera
		pod     func(*cluster.Pod)
		none    bool // no Pod at all
		nodes   []cluster.Node
		answer  *health.Answer
		state   string
		message string // a part of it
		since   time.Time
	}{
		"live":                {want: floats, pod: func(p *cluster.Pod) { p.Ready = true }, state: "live", since: began},
		"disabled":            {want: health.Camera{Site: "gate", Name: "north", Disabled: true}, pod: func(p *cluster.Pod) { p.Ready = true }, state: "disabled", since: began},
		"no Pod":              {want: floats, none: true, state: "missing", message: "no Pod"},
		"its edge went away":  {want: pinned, pod: gone, state: "offline", message: "its edge (Node edge-1) is offline since 2026-11-24 11:50 UTC", since: began},
		"its node went away":  {want: floats, pod: gone, state: "offline", message: "Node edge-1 is offline", since: began},
		"its edge is missing": {want: pinned, pod: waitsFor("Unschedulable", "0/2 nodes"), nodes: []cluster.Node{{Name: "other"}}, state: "offline", message: "no Node edge-1"},
		"it waits for an edge that is offline": {
			want: pinned, pod: waitsFor("Unschedulable", "0/2 nodes"), nodes: nodes(func(n *cluster.Node) { n.Ready, n.Message = false, "Kubelet stopped posting node status." }),
			state: "offline", message: "offline since 2026-11-24 11:50 UTC: Kubelet stopped", since: began,
		},
		"its edge is drained": {
			want: pinned, pod: waitsFor("Unschedulable", "0/2 nodes"), nodes: nodes(func(n *cluster.Node) { n.Drained = true }),
			state: "noRoom", message: "kubectl uncordon edge-1",
		},
		"nodes may not be read": {want: pinned, pod: waitsFor("Unschedulable", "0/2 nodes are available: 2 Insufficient memory."), state: "noRoom", message: "Insufficient memory"},
		"no room":               {want: floats, pod: waitsFor("Unschedulable", "0/2 nodes are available: 2 Insufficient cpu."), nodes: nodes(nil), state: "noRoom", message: "no node has room for it: 0/2 nodes", since: began.Add(-time.Hour)},
		"no volume yet":         {want: floats, pod: waitsFor("Unschedulable", "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."), nodes: nodes(nil), state: "noVolume", message: "waits for its volume"},
		"not scheduled yet":     {want: floats, pod: waitsFor("", ""), nodes: nodes(nil), state: "starting"},
		"no image":              {want: floats, pod: says("ImagePullBackOff", "Back-off pulling image \"camfleet:2\""), state: "noImage", message: "ImagePullBackOff: Back-off"},
		"a bad image":           {want: floats, pod: says("InvalidImageName", ""), state: "noImage", message: "InvalidImageName"},
		"crashing": {want: floats, pod: func(p *cluster.Pod) {
			p.Reason, p.Message, p.Restarts = "CrashLoopBackOff", "back-off 5m0s; it ended with OOMKilled, exit code 137", 9
		}, state: "crashing", message: "ended 9 times and is started again: back-off 5m0s; it ended with OOMKilled"},
		"no Secret key": {want: floats, pod: says("CreateContainerConfigError", "secret \"north\" not found"), state: "crashing", message: "cannot be started: CreateContainerConfigError: secret"},
		"mounting":      {want: floats, pod: says("ContainerCreating", ""), state: "noVolume", message: "on Node edge-1, and waits for its volumes"},
		"evicted":       {want: floats, pod: func(p *cluster.Pod) { p.Phase, p.Reason, p.Message = "Failed", "Evicted", "low on memory" }, state: "ended", message: "Evicted: low on memory"},
		"asked to go":   {want: floats, pod: func(p *cluster.Pod) { p.Ending, p.Ready = now, true }, state: "restarting"},
		"held by finalizers": {
			want: floats, pod: func(p *cluster.Pod) { p.Ending, p.Finalizers = now, []string{"example.com/backup"} },
			state: "restarting", message: "stays until its finalizer is taken away: example.com/backup",
		},
		"not asked yet":      {want: floats, state: "connecting", since: began},
		"no answer":          {want: floats, answer: &health.Answer{Err: "connection refused"}, state: "starting", message: "connection refused"},
		"it knows why":       {want: floats, answer: &health.Answer{State: "unauthorized", Message: "401", Since: now}, state: "unauthorized", message: "401", since: now},
		"storage is full":    {want: floats, answer: &health.Answer{State: "storageFull", Message: "no space left"}, state: "storageFull", message: "no space left", since: began},
		"an old playlist":    {want: floats, answer: &health.Answer{State: "live", Reason: "frames arrive but the last segment is 30s old"}, state: "stale", message: "30s old"},
		"a worker's failure": {want: floats, answer: &health.Answer{State: "failed", Reason: "panic"}, state: "crashing", message: "failed: panic"},
		"ready beats a word": {want: floats, pod: func(p *cluster.Pod) { p.Ready = true }, answer: &health.Answer{State: "unreachable"}, state: "live"},
		"a broken site":      {pod: func(p *cluster.Pod) { p.Ready = true }, state: "live"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obs := cluster.Observation{Nodes: c.nodes}
			answers := map[object.ID]health.Answer{}
			if !c.none {
				obs.Pods = []cluster.Pod{pod(c.pod)}
				if c.answer != nil {
					answers[obs.Pods[0].ID] = *c.answer
				}
			}
			var want []health.Camera
			if c.want.Name != "" {
				want = append(want, c.want)
			}
			got := health.Cameras(want, obs, answers)
			if len(got) != 1 || got[0].Site != "gate" || got[0].Name != "north" {
				t.Fatalf("%+v", got)
			}
			if got[0].State != c.state || !strings.Contains(got[0].Message, c.message) || c.message == "" && c.state == "live" && got[0].Message != "" {
				t.Errorf("%s: %s, want %s: %s", got[0].State, got[0].Message, c.state, c.message)
			}
			if !c.since.IsZero() && !got[0].Since.Equal(c.since) {
				t.Errorf("since %s, want %s", got[0].Since, c.since)
			}
		})
	}
}

func TestCamerasAreSorted(t *testing.T) {
	t.Parallel()
	want := []health.Camera{{Site: "yard", Name: "a"}, {Site: "gate", Name: "south"}}
	got := health.Cameras(want, cluster.Observation{Pods: []cluster.Pod{
		pod(nil), pod(func(p *cluster.Pod) { p.Camera, p.Role = "", object.RolePage }),
		pod(func(p *cluster.Pod) { p.Role, p.Name = object.RoleTask, "task-x-north-1" }),
	}}, nil)
	var names []string
	for _, c := range got {
		names = append(names, c.Site+"/"+c.Name)
	}
	if s := strings.Join(names, " "); s != "gate/north gate/south yard/a" {
		t.Error(s)
	}
}

func TestNodes(t *testing.T) {
	t.Parallel()
	want := []health.Camera{
		{Site: "gate", Name: "north", Node: "edge-1"}, {Site: "gate", Name: "south", Node: "edge-2"}, {Site: "gate", Name: "west", Node: "edge-2"},
		{Site: "gate", Name: "east"}, {Site: "gate", Name: "roof", Node: "edge-3"},
	}
	on := func(camera, node string) cluster.Pod {
		return pod(func(p *cluster.Pod) { p.Camera, p.Node = camera, node })
	}
	obs := cluster.Observation{
		Pods: []cluster.Pod{on("north", "edge-1"), on("east", "server"), on("south", ""), on("old", "scrapped")},
		Nodes: []cluster.Node{
			{Name: "edge-1", Ready: false, Since: began, Message: "Kubelet stopped posting node status."},
			{Name: "edge-3", Ready: true, Drained: true}, {Name: "idle", Ready: true}, {Name: "server", Ready: true, Since: began},
		},
	}
	got := map[string]string{}
	for _, n := range health.Nodes(want, obs) {
		got[n.Name] = n.Message
		switch n.Name {
		case "edge-1":
			if n.Ready || n.Missing || n.Cameras != 1 || !n.Since.Equal(began) {
				t.Errorf("%+v", n)
			}
		case "edge-2":
			if !n.Missing || n.Cameras != 2 {
				t.Errorf("%+v", n)
			}
		case "edge-3":
			if !n.Drained || !n.Ready || n.Cameras != 1 {
				t.Errorf("%+v", n)
			}
		case "scrapped":
			if !n.Missing || n.Cameras != 1 {
				t.Errorf("%+v", n)
			}
		case "server":
			if !n.Ready || n.Cameras != 1 || n.Message != "" {
				t.Errorf("%+v", n)
			}
		}
	}
	for node, part := range map[string]string{
		"edge-1": "edge edge-1 is offline since 2026-11-24 11:50 UTC: Kubelet stopped", "edge-2": "2 cameras wait for it: join it, or set the edge's node",
		"edge-3": "kubectl uncordon edge-3", "scrapped": "not in the cluster any more", "server": "",
	} {
		if m, ok := got[node]; !ok || !strings.Contains(m, part) {
			t.Errorf("%s: %q, want %q", node, m, part)
		}
	}
	if _, ok := got["idle"]; ok || len(got) != 5 {
		t.Errorf("nodes %v", got)
	}
	obs.Nodes = nil
	if n := health.Nodes(want, obs); n != nil {
		t.Errorf("although they may not be read: %v", n)
	}
}

package health_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"camfleet.dev/compiler"
	"camfleet.dev/compiler/object"
	"camfleet.dev/reconciler/cluster"
	"camfleet.dev/reconciler/health"
	"camfleet.dev/reconciler/status"
)

func in(t *testing.T, zone, s string) time.Time {
	t.Helper()
	z, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", s, z)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// found is "state: message" of all that Check says.
func found(obs cluster.Observation, now time.Time, cameras ...status.Camera) string {
	var out []string
	for _, h := range health.Check(obs, cameras, now) {
		out = append(out, h.Kind+"/"+h.Name+" "+h.State+": "+h.Message)
	}
	return strings.Join(out, "\n")
}

// TestDays: the CronJob is due at 04:30 each day; a run may begin six hours late.
func TestDays(t *testing.T) {
	t.Parallel()
	const berlin = "Europe/Berlin"
	for name, c := range map[string]struct {
		schedule, zone         string // 30 4 * * * in Berlin
		created, success, look string // in that zone; success may be ""
		suspend                bool
		active                 int
		want                   string // "" is well
	}{
		"all is well":                  {created: "2026-11-01 00:00", success: "2026-11-24 04:33", look: "2026-11-24 12:00"},
		"it may still begin":           {created: "2026-11-01 00:00", success: "2026-11-23 04:33", look: "2026-11-24 10:44"},
		"it has not begun":             {created: "2026-11-01 00:00", success: "2026-11-23 04:33", look: "2026-11-24 10:46", want: "the day file of 2026-11-23 is missing: the last run that succeeded ended 2026-11-23 04:33 CET"},
		"it runs":                      {created: "2026-11-01 00:00", success: "2026-11-23 04:33", look: "2026-11-24 12:00", active: 1},
		"it runs for too long":         {created: "2026-11-01 00:00", success: "2026-11-23 04:33", look: "2026-11-24 16:46", active: 1, want: "2026-11-23 is missing"},
		"it never ran":                 {created: "2026-11-01 00:00", look: "2026-11-24 12:00", want: "the day file of 2026-11-23 is missing: none was made yet"},
		"it is new":                    {created: "2026-11-24 06:00", look: "2026-11-24 23:59"},
		"it is a day old":              {created: "2026-11-24 06:00", look: "2026-11-25 10:46", want: "2026-11-24 is missing"},
		"a run by hand counts":         {created: "2026-11-01 00:00", success: "2026-11-24 09:00", look: "2026-11-24 12:00"},
		"suspended":                    {created: "2026-11-01 00:00", success: "2026-11-24 04:33", look: "2026-11-24 12:00", suspend: true, want: "it is suspended: no day file is made; kubectl patch cronjob days-north"},
		"clocks went forward":          {created: "2026-03-01 00:00", success: "2026-03-28 04:33", look: "2026-03-29 10:46", want: "2026-03-28 is missing"},
		"… and it may yet begin":       {created: "2026-03-01 00:00", success: "2026-03-28 04:33", look: "2026-03-29 10:44"},
		"clocks went back":             {created: "2026-10-01 00:00", success: "2026-10-24 04:33", look: "2026-10-25 10:46", want: "2026-10-24 is missing"},
		"… and it was made":            {created: "2026-10-01 00:00", success: "2026-10-25 04:31", look: "2026-10-25 10:46"},
		"in the hour that is skipped":  {schedule: "30 2 * * *", created: "2026-03-01 00:00", success: "2026-03-28 02:33", look: "2026-03-29 12:00"}, // there is no 02:30
		"in the hour that comes twice": {schedule: "30 2 * * *", created: "2026-10-01 00:00", success: "2026-10-24 02:33", look: "2026-10-25 12:00", want: "2026-10-24 is missing"},
		"midnight is skipped":          {schedule: "0 0 * * *", zone: "America/Asuncion", created: "2024-09-01 00:00", success: "2024-10-05 00:03", look: "2024-10-06 12:00"},
		"on the other side":            {schedule: "30 4 * * *", zone: "Pacific/Auckland", created: "2026-11-01 00:00", success: "2026-11-23 04:33", look: "2026-11-24 12:00", want: "2026-11-23 is missing"},
		"no zone":                      {zone: "UTC", created: "2026-11-01 00:00", success: "2026-11-23 04:33", look: "2026-11-24 12:00", want: "ended 2026-11-23 04:33 UTC"},
		"every minute":                 {schedule: "* * * * *", created: "2026-11-01 00:00", success: "2026-11-24 05:00", look: "2026-11-24 12:00", want: "2026-11-23 is missing"},
		"once a year":                  {schedule: "0 4 1 1 *", created: "2024-11-01 00:00", success: "2025-01-01 04:01", look: "2026-11-24 12:00", want: "2025-12-31 is missing"},
		"never":                        {schedule: "0 4 30 2 *", created: "2024-11-01 00:00", look: "2026-11-24 12:00"},
		"no schedule":                  {schedule: "now and then", created: "2026-11-01 00:00", look: "2026-11-24 12:00", want: "failed: nobody can tell when it is due"},
		"a zone in the schedule":       {schedule: "TZ=UTC 0 4 * * *", created: "2026-11-01 00:00", look: "2026-11-24 12:00", want: "names a time zone"},
		"no such zone":                 {zone: "Mars/Base", created: "", look: "2026-11-24 12:00", want: "Mars/Base"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := cluster.CronJob{Thing: thing("CronJob", "days-north", "north", object.RoleDays), Schedule: c.schedule, TimeZone: c.zone, Suspend: c.suspend, Active: c.active}
			if job.Schedule == "" {
				job.Schedule = "30 4 * * *"
			}
			if job.TimeZone == "" {
				job.TimeZone = berlin
			}
			zone := job.TimeZone
			if zone == "Mars/Base" {
				zone = "UTC"
			}
			if job.TimeZone == "UTC" {
				job.TimeZone = "" // the controller manager's own
			}
			if c.created != "" {
				job.Created = in(t, zone, c.created)
			}
			if c.success != "" {
				job.Success = in(t, zone, c.success)
			}
			got := found(cluster.Observation{CronJobs: []cluster.CronJob{job}}, in(t, zone, c.look))
			if c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestStorage(t *testing.T) {
	t.Parallel()
	claim := func(change func(*cluster.Claim)) cluster.Observation {
		c := cluster.Claim{Thing: thing("PersistentVolumeClaim", "archive", "", ""), Created: began, Phase: "Bound", Wanted: "3Ti", Capacity: "3Ti"}
		change(&c)
		return cluster.Observation{Claims: []cluster.Claim{c}}
	}
	full := status.Camera{Site: "gate", Name: "north", State: "storageFull"}
	for name, c := range map[string]struct {
		obs     cluster.Observation
		cameras []status.Camera
		want    string
	}{
		"bound":            {obs: claim(func(*cluster.Claim) {})},
		"another spelling": {obs: claim(func(c *cluster.Claim) { c.Capacity = "3072Gi" })},
		"new":              {obs: claim(func(c *cluster.Claim) { c.Phase, c.Capacity, c.Created = "Pending", "", now.Add(-time.Minute) })},
		"pending":          {obs: claim(func(c *cluster.Claim) { c.Phase, c.Capacity, c.Class = "Pending", "", "fast" }), want: "degraded: no volume was found for it, so that no camera of the site records: look at storage class fast; kubectl describe pvc archive -n camfleet-gate"},
		"no class":         {obs: claim(func(c *cluster.Claim) { c.Phase = "Pending" }), want: "the cluster's default storage class"},
		"lost":             {obs: claim(func(c *cluster.Claim) { c.Phase = "Lost" }), want: "failed: its volume is gone"},
		"growing": {obs: claim(func(c *cluster.Claim) {
			c.Wanted, c.Resizing = "4Ti", "FileSystemResizePending: waiting for user to (re-)start a pod"
		}), want: "it wants 4Ti and has 3Ti; the rest comes when"},
		"cannot grow":       {obs: claim(func(c *cluster.Claim) { c.Wanted, c.Resizing = "4Ti", "ControllerResizeError: quota exceeded" }), want: "has 3Ti; ControllerResizeError: quota exceeded"},
		"nobody makes it":   {obs: claim(func(c *cluster.Claim) { c.Wanted = "4Ti" }), want: "allowVolumeExpansion"},
		"full":              {obs: claim(func(*cluster.Claim) {}), cameras: []status.Camera{full}, want: "failed: there is no room left for north: make site.storage.size larger"},
		"full, elsewhere":   {obs: claim(func(*cluster.Claim) {}), cameras: []status.Camera{{Site: "yard", Name: "a", State: "storageFull"}}},
		"unreadable amount": {obs: claim(func(c *cluster.Claim) { c.Wanted = "much" })},
	} {
		got := found(c.obs, now, c.cameras...)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	many := claim(func(*cluster.Claim) {})
	var cameras []status.Camera
	for _, n := range strings.Split("abcdefgh", "") {
		cameras = append(cameras, status.Camera{Site: "gate", Name: n, State: "storageFull"})
	}
	if got := found(many, now, cameras...); !strings.Contains(got, "a, b, c, d, e and 3 more") {
		t.Error(got)
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d    cluster.Deployment
		want string
	}{
		"available":  {cluster.Deployment{Desired: 1, Available: 1}, ""},
		"switched":   {cluster.Deployment{Desired: 0, Available: 0}, ""},
		"new":        {cluster.Deployment{Desired: 1, Created: now.Add(-time.Minute)}, ""},
		"a blip":     {cluster.Deployment{Desired: 1, Since: now.Add(-time.Minute)}, ""},
		"away":       {cluster.Deployment{Desired: 1, Since: began, Reason: "MinimumReplicasUnavailable", Message: "Deployment does not have minimum availability."}, "failed: the page of the site is not available: MinimumReplicasUnavailable: Deployment does not"},
		"one of two": {cluster.Deployment{Desired: 2, Available: 1, Since: began}, "degraded: 1 of 2 Pods are available; kubectl describe pods -n camfleet-gate -l camfleet.dev/role=page"},
	} {
		c.d.Thing = thing("Deployment", "page", "", object.RolePage)
		if c.d.Created.IsZero() {
			c.d.Created = began
		}
		got := found(cluster.Observation{Deployments: []cluster.Deployment{c.d}}, now)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestResize(t *testing.T) {
	t.Parallel()
	p := pod(func(p *cluster.Pod) { p.Ready, p.Resize = true, "Infeasible: Node didn't have enough capacity: memory" })
	if got := found(cluster.Observation{Pods: []cluster.Pod{p}}, now); !strings.Contains(got, "Pod/camera-north degraded: its new CPU or memory has not arrived: Infeasible") {
		t.Error(got)
	}
}

// TestWanted reads what the compiler makes of a pinned, a floating and a disabled camera.
func TestWanted(t *testing.T) {
	t.Parallel()
	file := func(pkg, body string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("package " + pkg + "\n\nimport \"camfleet.dev/schema\"\n\n" + body + "\n")}
	}
	r, err := compiler.Compile(t.Context(), fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"example.com/fleet@v0\"\nlanguage: version: \"v0.17.0\"\n")},
		"fleet.cue":          file("fleet", `fleet: schema.#Fleet & {name: "test", uid: "uid-test-fleet"}`),
		"clusters/home.cue":  file("clusters", `clusters: schema.#Clusters & {home: images: {camfleet: "camfleet:1", nginx: "nginx:1"}}`),
		"sites/gate/site.cue": file("site", `site: schema.#Site & {cluster: "home", timeZone: "Europe/Berlin", storage: {size: "3Ti", accessMode: "ReadWriteMany"},
			edges: pole: {arch: "arm64", node: "pi-7", capacity: {cpu: "4", memory: "4Gi"}},
			cameras: {north: {url: "rtsp://10.0.0.1/n", edge: "pole"}, south: url: "rtsp://10.0.0.1/s", west: {url: "rtsp://10.0.0.1/w", disabled: true}}}`),
	}, compiler.Options{})
	if err != nil || len(r.Problems) > 0 {
		t.Fatalf("%v %v", err, r)
	}
	want := []health.Camera{{Site: "gate", Name: "north", Node: "pi-7"}, {Site: "gate", Name: "south"}, {Site: "gate", Name: "west", Disabled: true}}
	if got := health.Wanted(r.Objects); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, o := range r.Objects { // an overlay may have made anything of it
		o.Body = []byte("{")
		if got := health.Wanted([]object.Object{o}); len(got) > 1 {
			t.Errorf("%+v", got)
		}
	}
}

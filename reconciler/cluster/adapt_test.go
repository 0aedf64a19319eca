package cluster

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestNote: what admission made of a body leads back to it, and to nothing as
// soon as any field stands otherwise.
func TestNote(t *testing.T) {
	t.Parallel()
	const pod = `{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"args":["x","y"],"image":"a:1","name":"c"}],"tolerations":[{"key":"t"}]}}`
	for name, c := range map[string]struct{ from, to, was string }{
		"an image":            {`"a:1"`, `"m/a:1"`, `[{"path":["spec","containers","0","image"],"value":"a:1"}]`},
		"another toleration":  {`[{"key":"t"}]`, `[{"key":"t"},{"key":"u"}]`, `[{"path":["spec","tolerations"],"value":[{"key":"t"}]}]`},
		"a field came":        {`"a":"b"`, `"a":"b","c":"d"`, `[{"path":["metadata","labels","c"]}]`},
		"a field went":        {`"image":"a:1",`, ``, `[{"path":["spec","containers","0","image"],"value":"a:1"}]`},
		"an argument":         {`["x","y"]`, `["x",7]`, `[{"path":["spec","containers","0","args","1"],"value":"y"}]`},
		"another shape":       {`{"a":"b"}`, `"none"`, `[{"path":["metadata","labels"],"value":{"a":"b"}}]`},
		"null":                {`"x","y"`, `null,"y"`, `[{"path":["spec","containers","0","args","0"],"value":"x"}]`},
		"everything is other": {pod, `[]`, `[{"path":null,"value":` + pod + `}]`},
	} {
		made := strings.Replace(pod, c.from, c.to, 1)
		text := noteOf([]byte(made), []byte(pod))
		var n []change
		if err := json.Unmarshal([]byte(text), &n); err != nil {
			t.Errorf("%s: %q: %v", name, text, err)
			continue
		}
		for i := range n {
			n[i].Made = ""
		}
		if was, _ := json.Marshal(n); string(was) != c.was {
			t.Errorf("%s: noted %s, want %s", name, was, c.was)
		}
		if back := restored([]byte(made), text); string(back) != pod {
			t.Errorf("%s: restored %s", name, back)
		}
	}
	// Of two fields, one was changed since: the other one is still known.
	made := strings.Replace(pod, `"a:1"`, `"m/a:1"`, 1)
	made = strings.Replace(made, `[{"key":"t"}]`, `[{"key":"t"},{"key":"u"}]`, 1)
	text := noteOf([]byte(made), []byte(pod))
	since, want := strings.Replace(made, `"m/a:1"`, `"x"`, 1), strings.Replace(pod, `"a:1"`, `"x"`, 1)
	if back := restored([]byte(since), text); string(back) != want {
		t.Errorf("restored %s, want %s", back, want)
	}
	if back := restored([]byte(strings.Replace(since, `"u"`, `"v"`, 1)), text); back != nil {
		t.Errorf("nothing is as it was, and it is taken for %s", back)
	}
	for name, made := range map[string]string{"nothing": pod, "no JSON": "{", "too large": `{"a":"` + strings.Repeat("x", 10) + `"}`} {
		want := pod
		if name == "too large" {
			want = `{"a":"` + strings.Repeat("y", longestNote) + `"}`
		}
		if text := noteOf([]byte(made), []byte(want)); text != "" {
			t.Errorf("%s: noted %q", name, text)
		}
	}
	if text := noteOf([]byte(`{"spec":{"cpu":"500m"}}`), []byte(`{"spec":{"cpu":"0.5"}}`)); text != "" {
		t.Errorf("another spelling was noted: %s", text)
	}
}

// TestForgedNote: a note hides nothing but what it was made of, and whatever it says, nothing breaks.
func TestForgedNote(t *testing.T) {
	t.Parallel()
	body := []byte(`{"a":[1],"b":{"c":2}}`)
	for _, text := range []string{
		`x`, `{}`, `null`, `[{"path":["a","7","x"],"value":1},{"path":["a","-1"]},{"path":["b","c","d"],"value":{}}]`,
		`[{"path":[],"value":1},{"path":["x"]}]`, `[{"path":["q","r","s"],"value":1}]`, `[{"path":["q"],"value":1}]`,
		`[{"path":["q"],"value":{"r":1}},{"path":["q","s"],"value":1}]`, `[{}]`,
	} {
		if back := restored(body, text); back != nil && !json.Valid(back) {
			t.Errorf("%s: %s", text, back)
		}
	}
}

func decodedPod(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON([]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":` + spec + `}`)); err != nil {
		t.Fatal(err)
	}
	return u
}

// TestAdapt: of a Pod that is there, only that is sent which can be changed.
func TestAdapt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ want, ours, all, fromOurs, fromAll string }{
		"as it is": {
			want: `{"containers":[{"image":"a","name":"c"}]}`, ours: `{"containers":[{"image":"a","name":"c"}]}`,
			all:      `{"containers":[{"image":"a","name":"c","tty":true},{"image":"sidecar","name":"s"}],"nodeName":"n"}`,
			fromOurs: `{"containers":[{"image":"a","name":"c"}]}`, fromAll: `{"containers":[{"image":"a","name":"c"}]}`,
		},
		"an image": {
			want: `{"containers":[{"image":"a","name":"c"}]}`, ours: `{"containers":[{"image":"m/a","name":"c"}]}`, all: `{"containers":[{"image":"m/a","name":"c"}]}`,
			fromOurs: `{"containers":[{"image":"m/a","name":"c"}]}`, fromAll: `{"containers":[{"image":"a","name":"c"}]}`,
		},
		"an image that others have set": {
			want: `{"containers":[{"args":["a"],"image":"a","name":"c"}]}`, ours: `{"containers":[{"args":["a"],"name":"c"}]}`, all: `{"containers":[{"args":["a"],"image":"x","name":"c"}]}`,
			fromOurs: `{"containers":[{"args":["a"],"image":"a","name":"c"}]}`, fromAll: `{"containers":[{"args":["a"],"image":"a","name":"c"}]}`,
		},
		"arguments and volumes": {
			want:     `{"containers":[{"args":["a"],"image":"i","name":"c","volumeMounts":[{"mountPath":"/x","name":"v"},{"mountPath":"/y","name":"w"}]}],"volumes":[{"emptyDir":{"sizeLimit":"1Gi"},"name":"v"}]}`,
			ours:     `{"containers":[{"args":["a","b"],"image":"i","name":"c","volumeMounts":[{"mountPath":"/x","name":"v"}]}],"volumes":[{"emptyDir":{"sizeLimit":"2Gi"},"name":"v"}]}`,
			all:      `{"containers":[{"args":["a","b"],"image":"i","name":"c","volumeMounts":[{"mountPath":"/x","name":"v"}]}],"volumes":[{"name":"token"},{"emptyDir":{"sizeLimit":"2Gi"},"name":"v"}]}`,
			fromOurs: `{"containers":[{"args":["a","b"],"image":"i","name":"c","volumeMounts":[{"mountPath":"/x","name":"v"},{"mountPath":"/y","name":"w"}]}],"volumes":[{"emptyDir":{"sizeLimit":"2Gi"},"name":"v"}]}`,
			fromAll:  `{"containers":[{"args":["a","b"],"image":"i","name":"c","volumeMounts":[{"mountPath":"/x","name":"v"}]}],"volumes":[{"emptyDir":{"sizeLimit":"2Gi"},"name":"v"}]}`,
		},
		"tolerations": {
			want: `{"tolerations":[{"key":"a","tolerationSeconds":60},{"key":"new"}]}`, ours: `{}`, all: `{"tolerations":[{"key":"a","tolerationSeconds":300},{"key":"b"},{"key":"a","operator":"Exists"}]}`,
			fromOurs: `{"tolerations":[{"key":"a","tolerationSeconds":60},{"key":"new"}]}`,
			fromAll:  `{"tolerations":[{"key":"a","tolerationSeconds":60},{"key":"new"},{"key":"b"},{"key":"a","operator":"Exists"}]}`,
		},
		"a deadline that comes earlier": {
			want: `{"activeDeadlineSeconds":5}`, ours: `{"activeDeadlineSeconds":9}`, all: `{"activeDeadlineSeconds":9}`, fromOurs: `{"activeDeadlineSeconds":5}`, fromAll: `{"activeDeadlineSeconds":5}`,
		},
		"a deadline that comes later": {
			want: `{"activeDeadlineSeconds":9}`, ours: `{"activeDeadlineSeconds":5}`, all: `{"activeDeadlineSeconds":5}`, fromOurs: `{"activeDeadlineSeconds":5}`, fromAll: `{"activeDeadlineSeconds":5}`,
		},
		"what is one value": {
			want: `{"nodeSelector":{"a":"b"},"priorityClassName":"low","serviceAccountName":"x"}`, ours: `{"nodeSelector":{"a":"b","c":"d"},"priorityClassName":"high"}`,
			all:      `{"nodeSelector":{"a":"b","c":"d"},"priorityClassName":"high"}`,
			fromOurs: `{"nodeSelector":{"a":"b","c":"d"},"priorityClassName":"high","serviceAccountName":"x"}`, fromAll: `{"nodeSelector":{"a":"b","c":"d"},"priorityClassName":"high"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := decodedPod(t, c.ours).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			from := decodedPod(t, c.want)
			if err := adaptToOurs(from, body); err != nil {
				t.Fatal(err)
			}
			check := func(what string, u *unstructured.Unstructured, want string) {
				if got, _ := json.Marshal(u.Object["spec"]); string(got) != want {
					t.Errorf("%s:\ngot  %s\nwant %s", what, got, want)
				}
			}
			check("from our fields", from, c.fromOurs)
			from = decodedPod(t, c.want)
			adapt(from, live(t, rendered("Pod", `,"spec":`+c.all), applied(`{"f:spec":{}}`)))
			check("from all of it", from, c.fromAll)
		})
	}
}

// TestAdaptAnything: whatever a Pod looks like, nothing breaks.
func TestAdaptAnything(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"containers", "tolerations", "volumes", "name", "image", "args", "nodeSelector", "env", "activeDeadlineSeconds", "ports", "containerPort"}
	var random func(depth int) any
	random = func(depth int) any {
		switch n := r.IntN(6); {
		case depth > 4 || n == 0:
			return names[r.IntN(len(names))]
		case n == 1:
			return int64(r.IntN(3))
		case n == 2:
			return nil
		case n == 3:
			var list []any
			for range r.IntN(3) {
				list = append(list, random(depth+1))
			}
			return list
		}
		m := map[string]any{}
		for range r.IntN(5) {
			m[names[r.IntN(len(names))]] = random(depth + 1)
		}
		return m
	}
	for range 20000 {
		a := &unstructured.Unstructured{Object: map[string]any{"spec": random(0)}}
		b := &unstructured.Unstructured{Object: map[string]any{"spec": random(0)}}
		adapt(a, b)
		adapter{image: func(string) bool { return true }}.pod(a, b)
		made, err := json.Marshal(a.Object)
		want, wantErr := json.Marshal(b.Object)
		if err != nil || wantErr != nil {
			t.Fatal(err, wantErr)
		}
		if text := noteOf(made, want); text != "" && len(restored(made, text)) == 0 {
			t.Fatalf("%s → %s is noted as %s, which leads nowhere", made, want, text)
		}
	}
}

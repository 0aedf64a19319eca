package sandbox

import (
	"bytes"
	"reflect"
	"testing"

	"camfleet.dev/compiler/object"
)

func sample() *object.Result {
	return &object.Result{
		Sites: []object.Site{{Name: "gate", Cameras: []string{"a"}}},
		Objects: []object.Object{
			{ID: object.ID{APIVersion: "v1", Kind: "Pod", Namespace: "n", Name: "a"}, Hash: "h", Source: object.Position{File: "f", Line: 3}, Body: []byte(`{"a":1}`)},
			{ID: object.ID{APIVersion: "v1", Kind: "Pod", Namespace: "n", Name: "b"}, Body: []byte(`{}`)},
		},
		Problems: []object.Problem{{Site: "yard", Message: "no"}},
	}
}

func TestResult(t *testing.T) {
	t.Parallel()
	var wire bytes.Buffer
	if err := sendResult(&wire, sample()); err != nil {
		t.Fatal(err)
	}
	got, err := receiveResult(wire.Bytes())
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("%v %+v", err, got)
	}
	for n := range wire.Len() {
		if _, err := receiveResult(wire.Bytes()[:n]); err == nil {
			t.Errorf("%d bytes of %d are taken for a result", n, wire.Len())
		}
	}
	if _, err := receiveResult(append(wire.Bytes(), 0)); err == nil {
		t.Error("a byte too many is not noticed")
	}
}

func FuzzReceiveResult(f *testing.F) {
	var wire bytes.Buffer
	if err := sendResult(&wire, sample()); err != nil {
		f.Fatal(err)
	}
	f.Add(wire.Bytes())
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		res, err := receiveResult(b)
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := sendResult(&again, res); err != nil {
			t.Fatal(err)
		}
		if back, err := receiveResult(again.Bytes()); err != nil || len(back.Objects) != len(res.Objects) {
			t.Fatalf("%v %+v", err, back)
		}
	})
}

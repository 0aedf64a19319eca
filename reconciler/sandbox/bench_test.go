package sandbox

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"camfleet.dev/compiler"
)

// large is a fleet of many cameras.
func large(sites, cameras int) fstest.MapFS {
	files := fstest.MapFS{
		"cue.mod/module.cue": {Data: []byte("module: \"test.example/fleet\"\nlanguage: version: \"v0.12.0\"\n")},
		"fleet.cue":          {Data: []byte("package fleet\nfleet: {name: \"test\", uid: \"0f5c8a61-9d5b-4c55-a5f4-7f5a52d9c0de\"}\n")},
		"clusters/c.cue":     {Data: []byte("package clusters\nclusters: home: images: {camfleet: \"c@sha256:" + strings.Repeat("a", 64) + "\", nginx: \"n@sha256:" + strings.Repeat("b", 64) + "\"}\n")},
	}
	for s := range sites {
		var b strings.Builder
		fmt.Fprintf(&b, "package site\n\nimport \"camfleet.dev/schema\"\n\nsite: schema.#Site & {\n\ttitle: \"Site %d\"\n\tcluster: \"home\"\n\ttimeZone: \"UTC\"\n\tstorage: {size: \"900Ti\", accessMode: \"ReadWriteMany\"}\n", s)
		for c := range cameras {
			fmt.Fprintf(&b, "\tcameras: \"c%d\": {url: \"rtsp://192.0.2.%d/s%d/c%d\", credentials: secret: \"door\"}\n", c, c%250+1, s, c)
		}
		b.WriteString("}\n")
		files[fmt.Sprintf("sites/s%d/site.cue", s)] = &fstest.MapFile{Data: []byte(b.String())}
	}
	return files
}

// BenchmarkCompile is one commit of a fleet, from its files to objects. Its
// child may wait already, as it does between two commits.
func BenchmarkCompile(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range [][2]int{{1, 1}, {20, 50}, {100, 50}} {
		files := large(size[0], size[1])
		for _, warm := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dx%d/warm=%v", size[0], size[1], warm), func(b *testing.B) {
				c := &Compiler{Command: []string{self, childArgument}, Warm: warm}
				defer c.Close()
				c.warm()
				b.ResetTimer()
				for b.Loop() {
					res, err := c.Compile(b.Context(), files, compiler.Options{})
					if err != nil || len(res.Problems) > 0 || len(res.Objects) < 4*size[0]*size[1] && size[0] > 1 {
						b.Fatal(err, len(res.Problems), len(res.Objects))
					}
				}
			})
		}
	}
}

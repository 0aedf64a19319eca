package pack_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"camfleet.dev/reconciler/source/internal/pack"
	"camfleet.dev/reconciler/source/sourcetest"
)

// history is a repository whose objects are worth a difference.
func history(t testing.TB) (repo *sourcetest.Repo, commits []string) {
	t.Helper()
	repo = sourcetest.NewRepo(t)
	var lines strings.Builder
	for i := range 400 {
		fmt.Fprintf(&lines, "camera %d: rtsp://camera-%d.example/stream\n", i, i*i)
	}
	for i := range 6 {
		fmt.Fprintf(&lines, "commit %d\n", i)
		commits = append(commits, repo.Commit("sites/gate/cameras.cue", lines.String(), fmt.Sprintf("f/%d", i), "same"))
	}
	return repo, commits
}

// packed runs git pack-objects for revs, one on a line.
func packed(t testing.TB, repo *sourcetest.Repo, revs string, flags ...string) []byte {
	t.Helper()
	cmd := exec.Command("git", append([]string{"pack-objects", "--stdout", "--revs", "-q"}, flags...)...)
	cmd.Dir, cmd.Stdin = repo.Dir, strings.NewReader(revs)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const limit = 1 << 20

// Git's own packs, with differences by offset, by name, and to objects that are not sent.
func TestReadsWhatGitWrites(t *testing.T) {
	t.Parallel()
	repo, commits := history(t)
	want := map[string]bool{}
	for line := range strings.Lines(repo.Git("rev-list", "--objects", "--all")) {
		want[strings.Fields(line)[0]] = true
	}
	for _, flags := range [][]string{nil, {"--delta-base-offset"}, {"--no-reuse-delta", "--depth=50", "--window=50"}} {
		got, err := pack.Read(packed(t, repo, "HEAD", flags...), nil, limit)
		if err != nil {
			t.Fatal(flags, err)
		}
		if len(got) != len(want) {
			t.Errorf("%v: %d objects, want %d", flags, len(got), len(want))
		}
		for hash, o := range got {
			content := repo.Git("cat-file", o.Type.String(), hash.String())
			if o.Type == plumbing.TreeObject {
				continue // printed as a list
			}
			if !want[hash.String()] || strings.TrimSpace(string(o.Data)) != content || o.Size != int64(len(o.Data)) {
				t.Errorf("%v: object %s is %q", flags, hash, o.Data)
			}
		}
	}
	old, err := pack.Read(packed(t, repo, commits[4]), nil, limit)
	if err != nil {
		t.Fatal(err)
	}
	thin := packed(t, repo, commits[5]+"\n^"+commits[4]+"\n", "--thin")
	fresh, err := pack.Read(thin, old, limit)
	if err != nil || len(fresh) != 6 || len(thin) > 1000 { // a commit, four folders, a file
		t.Errorf("a thin pack of %d bytes gave %d objects, %v", len(thin), len(fresh), err)
	}
	if _, err := pack.Read(thin, nil, limit); !errors.Is(err, pack.ErrNoBase) {
		t.Errorf("a thin pack without what it is based on: %v", err)
	}
}

// build makes a pack of raw entries.
func build(entries ...[]byte) []byte {
	out := binary.BigEndian.AppendUint32([]byte("PACK"), 2)
	out = binary.BigEndian.AppendUint32(out, uint32(len(entries)))
	out = append(out, bytes.Join(entries, nil)...)
	sum := sha1.Sum(out)
	return append(out, sum[:]...)
}

func entry(kind plumbing.ObjectType, size int64, between, content []byte) []byte {
	b := byte(kind)<<4 | byte(size&15)
	var out []byte
	for size >>= 4; ; size >>= 7 {
		if size == 0 {
			out = append(out, b)
			break
		}
		out = append(out, b|0x80)
		b = byte(size & 0x7f)
	}
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write(content)
	_ = w.Close()
	return append(append(out, between...), z.Bytes()...)
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	blob := entry(plumbing.BlobObject, 5, nil, []byte("hello"))
	hash := plumbing.ComputeHash(plumbing.BlobObject, []byte("hello"))
	on := func(d ...byte) []byte { return entry(plumbing.REFDeltaObject, int64(len(d)), hash[:], d) }
	back := func(n byte, d ...byte) []byte {
		return entry(plumbing.OFSDeltaObject, int64(len(d)), []byte{n}, d)
	}
	for _, c := range []struct {
		name string
		data []byte
		want error
	}{
		{"a pack", build(blob), nil},
		{"difference", build(blob, on(5, 5, 0x90, 5)), nil},
		{"difference before its base", build(on(5, 3, 0x90, 3), blob), nil},
		{"difference by offset", build(blob, back(byte(len(blob)), 5, 2, 2, 'h', 'i')), nil},
		{"nothing", nil, pack.ErrDamaged},
		{"other bytes", []byte(strings.Repeat("x", 100)), pack.ErrDamaged},
		{"wrong checksum", append(build(blob), 0), pack.ErrDamaged},
		{"fewer objects", func() []byte { b := build(blob); b[11] = 2; return resum(b) }(), pack.ErrDamaged},
		{"more objects", func() []byte { b := build(blob, blob); b[11] = 1; return resum(b) }(), pack.ErrDamaged},
		{"very many objects", func() []byte { b := build(blob); b[8] = 0xff; return resum(b) }(), pack.ErrTooLarge},
		{"unknown type", build(entry(5, 5, nil, []byte("hello"))), pack.ErrDamaged},
		{"no zlib", build([]byte{0x35, 1, 2, 3}), pack.ErrDamaged},
		{"longer than it says", build(entry(plumbing.BlobObject, 4, nil, []byte("hello"))), pack.ErrDamaged},
		{"shorter than it says", build(entry(plumbing.BlobObject, 6, nil, []byte("hello"))), pack.ErrDamaged},
		{"a huge size", build(entry(plumbing.BlobObject, 1<<40, nil, []byte("hello"))), pack.ErrTooLarge},
		{"an endless size", build(bytes.Repeat([]byte{0xbf}, 40)), pack.ErrTooLarge},
		{"zeros", build(entry(plumbing.BlobObject, 100<<20, nil, make([]byte, 1000))), pack.ErrTooLarge},
		{"many differences that grow", build(blob, on(5, 0x80, 0x80, 0x80, 1, 0x90, 5)), pack.ErrTooLarge},
		{"a base that is not there", build(on(5, 5, 0x90, 5)), pack.ErrNoBase},
		{"an offset before the pack", build(blob, back(0x7f, 5, 1, 1, 'h')), pack.ErrDamaged},
		{"an offset between objects", build(blob, back(2, 5, 1, 1, 'h')), pack.ErrNoBase},
		{"itself as base", build(back(0, 5, 1, 1, 'h')), pack.ErrDamaged},
		{"another base's size", build(blob, on(4, 1, 1, 'h')), pack.ErrDamaged},
		{"copying past the end", build(blob, on(5, 9, 0x90, 9)), pack.ErrDamaged},
		{"copying from afar", build(blob, on(5, 5, 0x9f, 0xff, 0xff, 0xff, 0xff, 5)), pack.ErrDamaged},
		{"copying without its numbers", build(blob, on(5, 5, 0x90)), pack.ErrDamaged},
		{"inserting what is not there", build(blob, on(5, 5, 5, 'h')), pack.ErrDamaged},
		{"instruction zero", build(blob, on(5, 5, 0)), pack.ErrDamaged},
		{"more than it says", build(blob, on(5, 1, 2, 'h', 'i')), pack.ErrDamaged},
		{"less than it says", build(blob, on(5, 3, 2, 'h', 'i')), pack.ErrDamaged},
		{"an empty difference", build(blob, on()), pack.ErrDamaged},
		{"cut in a head", build([]byte{0xb5}), pack.ErrDamaged},
		{"cut in a base's name", build([]byte{0x75, 1, 2}), pack.ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := pack.Read(c.data, nil, limit)
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%v and %d objects, want %v", err, len(got), c.want)
			}
		})
	}
}

func resum(b []byte) []byte {
	sum := sha1.Sum(b[:len(b)-sha1.Size])
	return append(b[:len(b)-sha1.Size], sum[:]...)
}

// A pack of 32 KB that unpacks to 32 MB, once as one object and once as many.
func TestBombsCostNoMemory(t *testing.T) {
	zeros := make([]byte, 32<<20)
	small := entry(plumbing.BlobObject, 1<<19, nil, zeros[:1<<19])
	for name, data := range map[string][]byte{
		"one":   build(entry(plumbing.BlobObject, int64(len(zeros)), nil, zeros)),
		"lying": build(entry(plumbing.BlobObject, limit-1, nil, zeros)),
		"many":  build(small, small, small, small),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := pack.Read(data, nil, limit); err == nil {
			t.Errorf("%s was read", name)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 8*limit {
			t.Errorf("%s: %d bytes were allocated, at most %d are read", name, n, limit)
		}
	}
}

func FuzzRead(f *testing.F) {
	repo, commits := history(f)
	old, err := pack.Read(packed(f, repo, commits[4]), nil, limit)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed(f, repo, "HEAD", "--delta-base-offset")[12:])
	f.Add(packed(f, repo, commits[5]+"\n^"+commits[4]+"\n", "--thin")[12:])
	f.Add(build(entry(plumbing.BlobObject, 5, nil, []byte("hello")))[12:])
	f.Fuzz(func(t *testing.T, body []byte) {
		for count := range byte(4) { // the count and the checksum are made right
			data := append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00"), count)
			data = append(append(data, body...), make([]byte, sha1.Size)...)
			got, err := pack.Read(resum(data), old, 1<<16)
			total := int64(0)
			for hash, o := range got {
				if total += o.Size; plumbing.ComputeHash(o.Type, o.Data) != hash {
					t.Fatalf("object %s is another", hash)
				}
			}
			if err == nil && total > 1<<16 {
				t.Fatalf("%d bytes were unpacked", total)
			}
		}
	})
}

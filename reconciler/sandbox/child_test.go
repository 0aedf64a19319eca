package sandbox

import "testing"

func TestSoftLimit(t *testing.T) {
	t.Parallel()
	for memory, want := range map[uint64]int64{64 << 20: 48 << 20, 256 << 20: 192 << 20, defaultMemory: enough, 1 << 62: enough} {
		if got := softLimit(memory); got != want || uint64(got) >= memory {
			t.Errorf("%d MiB: %d MiB", memory>>20, got>>20)
		}
	}
}

//go:build race

package sandbox

// The race detector's own memory counts too.
const testMemory = 1600 << 20

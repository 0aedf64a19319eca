//go:build !race

package sandbox

const testMemory = 400 << 20

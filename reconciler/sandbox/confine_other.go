//go:build !amd64 && !arm64 && !arm

package sandbox

const auditArch = 0 // its numbers of calls are not listed: the process is not confined

func olderCalls() []uint32 { return nil }

package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// olderCalls are those that newer ones have replaced, and that are still there.
func olderCalls() []uint32 { return []uint32{unix.SYS_RENAMEAT} }

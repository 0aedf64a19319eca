package sandbox

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_ARM

// olderCalls are those that newer ones have replaced, and that are still there.
func olderCalls() []uint32 {
	return []uint32{
		unix.SYS_OPEN, unix.SYS_RENAMEAT, unix.SYS_CREAT, unix.SYS_UNLINK, unix.SYS_RENAME, unix.SYS_MKDIR, unix.SYS_RMDIR, unix.SYS_MKNOD, unix.SYS_LINK,
		unix.SYS_SYMLINK, unix.SYS_CHMOD, unix.SYS_CHOWN, unix.SYS_LCHOWN, unix.SYS_UTIMES, unix.SYS_FUTIMESAT,
		unix.SYS_CHOWN32, unix.SYS_LCHOWN32, unix.SYS_TRUNCATE64,
	}
}

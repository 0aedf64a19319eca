package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// confine takes away from this process, and all its threads, what compiling
// needs none of: sockets, files, other programs and other processes. It takes no
// right (a Pod under the restricted Pod Security profile has none) and cannot be
// undone: the kernel answers such calls with EACCES from here on.
func confine() error {
	if !confinable() {
		return nil // the parent has said so
	}
	filter := confinement(uint32(os.Getpid()))
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("confining the compiler: giving up new privileges: %w", err)
	}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("confining the compiler: %w", errno)
	}
	if thread != 0 {
		return fmt.Errorf("confining the compiler: its thread %d cannot be", thread)
	}
	return nil
}

// confinable tells whether the kernel filters system calls here.
func confinable() bool {
	action := uint32(unix.SECCOMP_RET_ERRNO)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno == 0 && auditArch != 0
}

// refusedCalls are what no compilation does, whatever a commit holds.
func refusedCalls() []uint32 {
	return append(olderCalls(),
		// The network; io_uring opens sockets and files, too.
		unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_IO_URING_SETUP,
		// Files.
		unix.SYS_OPENAT, unix.SYS_OPENAT2, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_OPEN_TREE, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT2,
		unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2,
		unix.SYS_FCHOWNAT, unix.SYS_TRUNCATE, unix.SYS_SETXATTR, unix.SYS_UTIMENSAT, unix.SYS_MOUNT,
		// Other programs.
		unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_UNSHARE, unix.SYS_SETNS,
		// Other processes: the parent runs as the same user.
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD,
		unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO,
		// Large parts of the kernel that have had many holes.
		unix.SYS_BPF, unix.SYS_USERFAULTFD, unix.SYS_PERF_EVENT_OPEN, unix.SYS_KEYCTL,
	)
}

// ownCalls may be about the process itself only, which is their first argument.
func ownCalls() []uint32 { return []uint32{unix.SYS_KILL, unix.SYS_TGKILL} }

// Offsets in the kernel's struct seccomp_data. Go runs on none of the three
// architectures with the other order of bytes.
const (
	offsetCall     = 0
	offsetArch     = 4
	offsetArgument = 16
)

// x32 marks the calls of a second table that amd64 has; no other architecture
// has a call of such a number, nor amd64 in its own table.
const x32 = 0x40000000

// confinement is the filter, for the process self, in the kernel's language.
func confinement(self uint32) []unix.SockFilter {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	jump := func(on uint16, k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_K | on, Jt: yes, Jf: no, K: k}
	}
	answer := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	refuse, allow := answer(unix.SECCOMP_RET_ERRNO|uint32(unix.EACCES)), answer(unix.SECCOMP_RET_ALLOW)

	filter := []unix.SockFilter{
		load(offsetArch), jump(unix.BPF_JEQ, auditArch, 1, 0), refuse,
		load(offsetCall), jump(unix.BPF_JGE, x32, 0, 1), refuse,
	}
	for _, call := range refusedCalls() {
		filter = append(filter, jump(unix.BPF_JEQ, call, 0, 1), refuse)
	}
	for _, call := range ownCalls() {
		filter = append(filter,
			jump(unix.BPF_JEQ, call, 0, 4), load(offsetArgument), jump(unix.BPF_JEQ, self, 0, 1), allow, refuse)
	}
	// The limits of another process; 0 means the own ones.
	filter = append(filter,
		jump(unix.BPF_JEQ, unix.SYS_PRLIMIT64, 0, 4), load(offsetArgument), jump(unix.BPF_JEQ, 0, 0, 1), allow, refuse)
	return append(filter, allow)
}

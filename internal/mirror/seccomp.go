package mirror

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// architectures are those whose system calls the filter knows, all of them with
// the low half of an argument first.
var architectures = map[string]uint32{
	"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64, "riscv64": unix.AUDIT_ARCH_RISCV64,
}

// Where struct seccomp_data has what the filter asks for (linux/seccomp.h).
const (
	atCall = 0
	atArch = 4
	atArg0 = 16
	atArg1 = 24
)

// refusedCalls are ways around Landlock, or into parts of the kernel that a
// receiver has no use for.
var refusedCalls = []uint32{
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_MOUNT, unix.SYS_FSOPEN, unix.SYS_OPEN_TREE,
}

// filterCalls forbids this thread, and the program that it becomes, what Landlock
// does not judge. Above all ioctl(2), by which a directory's owner makes
// subvolumes in it, and snapshots of others, that nothing here would ever delete: of
// its commands the one that a receiver needs is left, cloning. no_new_privs must be
// set.
func filterCalls() error {
	f, err := callFilter(runtime.GOARCH)
	if err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return fmt.Errorf("filter system calls: %w", err)
	}
	runtime.KeepAlive(f)
	return nil
}

// callFilter returns the filter, a program of classic BPF: each jump is over the
// instruction that is not meant.
func callFilter(goarch string) ([]unix.SockFilter, error) {
	arch, ok := architectures[goarch]
	if !ok {
		return nil, fmt.Errorf("filter system calls: not known for %s", goarch)
	}
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		above = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		any   = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		end   = unix.BPF_RET | unix.BPF_K

		allow   = unix.SECCOMP_RET_ALLOW
		kill    = unix.SECCOMP_RET_KILL_PROCESS
		refuse  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
		unknown = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)

		x32        = 1 << 30 // the second set of numbers that amd64 has
		namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP
	)
	f := []unix.SockFilter{
		{Code: load, K: atArch},
		{Code: equal, Jt: 1, K: arch},
		{Code: end, K: kill},
		{Code: load, K: atCall},
		{Code: above, Jf: 1, K: x32},
		{Code: end, K: kill},
	}
	for _, call := range refusedCalls {
		f = append(f, unix.SockFilter{Code: equal, Jf: 1, K: call}, unix.SockFilter{Code: end, K: refuse})
	}
	// clone3 has its flags in memory, where a filter can not look; who is told that
	// there is none takes clone.
	f = append(f, unix.SockFilter{Code: equal, Jf: 1, K: unix.SYS_CLONE3}, unix.SockFilter{Code: end, K: unknown})
	for _, c := range []struct {
		call, arg uint32
		test      uint16
		value     uint32
		yes, no   uint32
	}{
		{unix.SYS_IOCTL, atArg1, equal, unix.FICLONERANGE, allow, refuse},
		{unix.SYS_CLONE, atArg0, any, namespaces, refuse, allow},
	} {
		f = append(f,
			unix.SockFilter{Code: equal, Jf: 4, K: c.call},
			unix.SockFilter{Code: load, K: c.arg},
			unix.SockFilter{Code: c.test, Jf: 1, K: c.value},
			unix.SockFilter{Code: end, K: c.yes},
			unix.SockFilter{Code: end, K: c.no})
	}
	return append(f, unix.SockFilter{Code: end, K: allow}), nil
}

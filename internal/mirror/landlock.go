package mirror

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the child does in the new mirror, in its parent, and with its own program.
const (
	inMirror = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_REFER | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR
	inParent = unix.LANDLOCK_ACCESS_FS_READ_FILE
	program  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE
)

// minABI is the version of Landlock that is needed, of Linux 5.19: version 1
// forbids every link and rename from one directory to another, which is how mail
// moves. Before version 3 (Linux 6.2) truncate(2) is not judged: there a child that
// a stream has got the better of could empty the records beside the snapshots.
const minABI = 2

// handled returns all that a version of Landlock can forbid, of what was known up
// to version 10 (landlock(7)).
func handled(abi int) (a unix.LandlockRulesetAttr) {
	a.Handled_access_fs = unix.LANDLOCK_ACCESS_FS_TRUNCATE - 1 // the bits of versions 1 and 2
	for _, v := range []struct {
		abi             int
		fs, net, scoped uint64
	}{
		{3, unix.LANDLOCK_ACCESS_FS_TRUNCATE, 0, 0},
		{4, 0, unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, 0},
		{5, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, 0, 0},
		{6, 0, 0, unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL},
		{9, unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX, 0, 0},
		{10, 0, unix.LANDLOCK_ACCESS_NET_BIND_UDP | unix.LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP, 0},
	} {
		if abi >= v.abi {
			a.Handled_access_fs |= v.fs
			a.Handled_access_net |= v.net
			a.Scoped |= v.scoped
		}
	}
	return a
}

// landlockABI asks for the kernel's version of Landlock.
func landlockABI() (int, error) {
	n, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch {
	case errno != 0:
		return 0, fmt.Errorf("this kernel has no Landlock: it needs Linux 5.19, and \"landlock\" in lsm= of its command line: %w", errno)
	case n < minABI:
		return 0, fmt.Errorf("this kernel's Landlock has version %d, and %d is needed, which Linux 5.19 has", n, minABI)
	}
	return int(n), nil
}

// restrictPaths forbids this thread, and the program that it becomes, all that
// Landlock can but what allowed says: access rights by descriptor.
func restrictPaths(allowed map[int]uint64) error {
	abi, err := landlockABI()
	if err != nil {
		return err
	}
	a := handled(abi)
	// A kernel that knows fewer fields wants those to be 0 (copy_struct_from_user).
	rules, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&a)), unsafe.Sizeof(a), 0)
	if errno != 0 {
		return fmt.Errorf("landlock_create_ruleset: %w", errno)
	}
	defer unix.Close(int(rules))
	for fd, access := range allowed {
		rule := unix.LandlockPathBeneathAttr{Allowed_access: access & a.Handled_access_fs, Parent_fd: int32(fd)}
		_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, rules, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
		if errno != 0 {
			return fmt.Errorf("landlock_add_rule: %w", errno)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, rules, 0, 0); errno != 0 {
		return fmt.Errorf("landlock_restrict_self: %w", errno)
	}
	return nil
}

package mirror

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"snapmerge/internal/stream"
)

// confine takes from this thread all that a receiver does not need, and then has
// it become this program once more. Capabilities and Landlock belong to threads, and
// Go's runtime has some already; those of the new program all come from this one.
// It returns only if it fails. The thread must be locked.
//
// Landlock alone would not do: it does not judge chmod, utimes and xattrs, and the
// process stays root, whose files a mirror's are. So its root directory becomes
// that of the snapshots, where all but the new mirror is read-only or a record. And
// it does not judge ioctl(2) on files, see filterCalls.
func confine(j job) error {
	exe, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open this program: %w", err)
	}
	home, err := unix.Openat(rootFd, "..", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the directory of the mirror: %w", err)
	}
	// Of this thread, too; it was asked for the one that started this program.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("end with the parent: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if err := setLimits(j); err != nil {
		return err
	}
	allowed := map[int]uint64{rootFd: inMirror, exe: program}
	if j.Increment {
		allowed[parentFd] = inParent
	}
	if err := restrictPaths(allowed); err != nil {
		return err
	}
	if err := unix.Fchdir(home); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	if err := filterCalls(); err != nil {
		return err
	}
	return become(exe)
}

// setLimits sets what setrlimit(2) can: a second line behind the limits of the
// stream. Beside 64 directories a dozen files are open.
func setLimits(j job) error {
	message := j.Limits.Message
	if message == 0 {
		message = stream.DefaultReceiveLimits.Message
	}
	for _, l := range []struct{ what, max uint64 }{
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_NOFILE, 128},
		{unix.RLIMIT_FSIZE, uint64(message)},
		{unix.RLIMIT_AS, 4 * memoryLimit}, // Go reserves more than it uses
	} {
		if err := unix.Setrlimit(int(l.what), &unix.Rlimit{Cur: l.max, Max: l.max}); err != nil {
			return fmt.Errorf("set resource limit %d: %w", l.what, err)
		}
	}
	return nil
}

// dropCapabilities gives up all capabilities and the way to any: the bounding
// and the ambient set too, so that root gets none when it becomes a program.
func dropCapabilities() error {
	for c := uintptr(0); c < 64; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL { // no such capability
			return fmt.Errorf("drop capability %d from the bounding set: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&h, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// become runs the program that is open as exe, which has no path below the new
// root directory, as the confined child.
func become(exe int) error {
	argv, err := syscall.SlicePtrFromStrings([]string{childName, confined, arguments()})
	if err != nil {
		return err
	}
	empty, env := [1]byte{}, [1]*byte{}
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, uintptr(exe), uintptr(unsafe.Pointer(&empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&env)), unix.AT_EMPTY_PATH, 0)
	if errno == unix.ENOENT || errno == unix.EACCES {
		return fmt.Errorf("run this program confined: %w (it must be one static file: build it with CGO_ENABLED=0)", errno)
	}
	return fmt.Errorf("run this program confined: %w", errno)
}

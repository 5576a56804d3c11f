package mirror

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probe is a name that the checks try to make. Nothing of it stays if they can.
const probe = ".snapmerge-probe"

// A check is something that must fail in a confined process, and how.
type check struct {
	what string
	do   func() error
	want []error
}

// verify tries what confine should have made impossible, and returns an error if
// any of it works. It runs before the first byte of a stream is read.
func verify() error {
	abi, err := landlockABI()
	if err != nil {
		return err
	}
	for _, c := range checks(abi) {
		if err := c.do(); !c.stopped(err) {
			return fmt.Errorf("it can still %s: %v", c.what, err)
		}
	}
	return verifyState()
}

func (c check) stopped(err error) bool {
	return slices.ContainsFunc(c.want, func(want error) bool { return errors.Is(err, want) })
}

func checks(abi int) []check {
	denied := []error{unix.EACCES}
	return []check{
		{"make a file in the root directory", func() error { return makeFile(unix.AT_FDCWD, "/"+probe) }, denied},
		{"make a file beside the mirror", func() error { return makeFile(rootFd, "../"+probe) }, denied},
		{"make a directory beside the mirror", func() error { return makeDir(rootFd, "../"+probe) }, denied},
		{"read the root directory", func() error { return openTo(unix.AT_FDCWD, "/") }, denied},
		{"read the directory of the mirror", func() error { return openTo(rootFd, "..") }, denied},
		{"get at a process", func() error { return openTo(unix.AT_FDCWD, "/proc/self/exe") }, []error{unix.ENOENT}},
		{"make a symbolic link in the mirror", func() error { return makeLink(rootFd, probe) }, denied},
		{"make a FIFO in the mirror", func() error { return makeFifo(rootFd, probe) }, denied},
		{"change the root directory", func() error { return unix.Chroot("/") }, []error{unix.EPERM}},
		{"reach the network", connect, networkErrors(abi)},
		{"get a capability back", raise, []error{unix.EPERM}},
		{"make a subvolume in the mirror", makeSubvolume, []error{unix.EPERM}},
		{"make a user namespace", func() error { return unix.Unshare(unix.CLONE_NEWUSER) }, []error{unix.EPERM}},
	}
}

// verifyState asks the kernel what this thread has.
func verifyState() error {
	if n, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); n != 1 || err != nil {
		return fmt.Errorf("no_new_privs is %d: %v", n, err)
	}
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&h, &have[0]); err != nil || have != [2]unix.CapUserData{} {
		return fmt.Errorf("capabilities left: %+v, %v", have, err)
	}
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if n, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err == nil && n != 0 {
			return fmt.Errorf("capability %d is left in the bounding set", c)
		}
	}
	return nil
}

func makeFile(dir int, path string) error {
	fd, err := unix.Openat(dir, path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(unix.Close(fd), unix.Unlinkat(dir, path, 0))
}

func makeDir(dir int, path string) error {
	if err := unix.Mkdirat(dir, path, 0o700); err != nil {
		return err
	}
	return unix.Unlinkat(dir, path, unix.AT_REMOVEDIR)
}

func makeLink(dir int, path string) error {
	if err := unix.Symlinkat("/", dir, path); err != nil {
		return err
	}
	return unix.Unlinkat(dir, path, 0)
}

func makeFifo(dir int, path string) error {
	if err := unix.Mknodat(dir, path, unix.S_IFIFO|0o600, 0); err != nil {
		return err
	}
	return unix.Unlinkat(dir, path, 0)
}

// subvolumeArgs is struct btrfs_ioctl_vol_args of linux/btrfs.h.
type subvolumeArgs struct {
	fd   int64
	name [4088]byte
}

const iocSubvolCreate = 1<<30 | unsafe.Sizeof(subvolumeArgs{})<<16 | 0x94<<8 | 14 // BTRFS_IOC_SUBVOL_CREATE

func makeSubvolume() error {
	var a subvolumeArgs
	copy(a.name[:], probe)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, rootFd, iocSubvolCreate, uintptr(unsafe.Pointer(&a))); errno != 0 {
		return errno
	}
	return unix.Unlinkat(rootFd, probe, unix.AT_REMOVEDIR)
}

func openTo(dir int, path string) error {
	fd, err := unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// raise asks for CAP_DAC_OVERRIDE.
func raise() error {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	caps := [2]unix.CapUserData{{Effective: 1 << unix.CAP_DAC_OVERRIDE, Permitted: 1 << unix.CAP_DAC_OVERRIDE}}
	return unix.Capset(&h, &caps[0])
}

// connect tries TCP to this very host. The child's network has not even that.
func connect() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 22})
}

// networkErrors: Landlock forbids TCP from version 4 on; before it is the empty
// network that stops it.
func networkErrors(abi int) []error {
	if abi >= 4 {
		return []error{unix.EACCES}
	}
	return []error{unix.ENETUNREACH}
}

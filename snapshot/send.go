package snapshot

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SendFlags choose what a send stream holds.
type SendFlags struct {
	NoData bool // update_extent commands in place of the files' contents
}

// Send writes to out the stream of protocol 1 that leads from the snapshot
// parent to the snapshot snap, or makes all of snap if parent is nil. Both are
// handles of the root directory of a read-only subvolume (fs/btrfs/send.c;
// btrfs-send(8)). It needs CAP_SYS_ADMIN.
//
// out is a pipe, a socket or a file, and is put into blocking mode: the kernel
// takes EAGAIN for the end. To end a Send from outside, close the other end of
// the pipe: the error is EPIPE at the kernel's next write then.
//
// No subvolume is named as a source of clones, so a stream refers to no
// other subvolume than its parent and itself.
func Send(snap, parent *os.File, flags SendFlags, out *os.File) error {
	if err := send(snap, parent, flags, out); err != nil {
		return fmt.Errorf("send %q: %w", snap.Name(), err)
	}
	return nil
}

// sendArgs is struct btrfs_ioctl_send_args of linux/btrfs.h.
type sendArgs struct {
	fd           int64
	cloneCount   uint64
	cloneSources uintptr
	parentRoot   uint64
	flags        uint64
	version      uint32
	_            [28]byte
}

const (
	iocWrite      = 1 << 30
	iocSend       = iocWrite | unsafe.Sizeof(sendArgs{})<<16 | iocMagic | 38 // BTRFS_IOC_SEND
	sendNoData    = 1 << 0                                                   // BTRFS_SEND_FLAG_NO_FILE_DATA
	sendVersion   = 1 << 3                                                   // BTRFS_SEND_FLAG_VERSION
	streamVersion = 1
)

func send(snap, parent *os.File, flags SendFlags, out *os.File) error {
	if err := checkSubvolume(snap); err != nil {
		return err
	}
	a := sendArgs{fd: int64(out.Fd())}
	if parent != nil {
		if err := checkSubvolume(parent); err != nil {
			return fmt.Errorf("parent %q: %w", parent.Name(), err)
		}
		info, err := readInfo(parent)
		if err != nil {
			return fmt.Errorf("parent %q: %w", parent.Name(), err)
		}
		a.parentRoot = info.ID
	}
	if flags.NoData {
		a.flags |= sendNoData
	}
	if knowsVersions() {
		a.flags |= sendVersion
		a.version = streamVersion
	}
	if err := unix.SetNonblock(int(a.fd), false); err != nil {
		return err
	}
	return sendIoctl(snap, out, a)
}

// sendIoctl makes the call on a thread of its own that takes no signals, and
// that ends with it. A signal interrupts the kernel's write to a full pipe, and
// the whole call is then begun again (SA_RESTART, which Go sets for every
// handler): half a command in the pipe, and behind it the stream from its start
// (measured on Linux 6.18). Signals go to the other threads meanwhile; the
// SIGPIPE of a closed pipe goes with the thread.
func sendIoctl(snap, out *os.File, a sendArgs) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: so Go ends the thread
		var all unix.Sigset_t
		for i := range all.Val {
			all.Val[i] = ^all.Val[i]
		}
		if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, nil); err != nil {
			done <- fmt.Errorf("block signals: %w", err)
			return
		}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, snap.Fd(), iocSend, uintptr(unsafe.Pointer(&a)))
		runtime.KeepAlive(snap)
		runtime.KeepAlive(out)
		if errno != 0 {
			done <- fmt.Errorf("BTRFS_IOC_SEND: %w", errno)
			return
		}
		done <- nil
	}()
	return <-done
}

// knowsVersions reports whether this kernel can be asked for a protocol. An older
// one refuses the flag, and has no other protocol than 1 (sysfs btrfs(5):
// send_stream_version).
func knowsVersions() bool {
	b, err := os.ReadFile("/sys/fs/btrfs/features/send_stream_version")
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	return err == nil && n > streamVersion
}

package snapshot

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A UUID names a subvolume for ever; the zero one means none.
type UUID [16]byte

// String returns the form that btrfs(8) prints.
func (u UUID) String() string {
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// MarshalText implements [encoding.TextMarshaler], as String.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads what String makes, and nothing else.
func (u *UUID) UnmarshalText(text []byte) error {
	var v UUID
	digits := bytes.ReplaceAll(text, []byte("-"), nil)
	if len(digits) != hex.EncodedLen(len(v)) {
		return fmt.Errorf("%q is no UUID", text)
	}
	if _, err := hex.Decode(v[:], digits); err != nil || v.String() != string(text) {
		return fmt.Errorf("%q is no UUID", text)
	}
	*u = v
	return nil
}

// Info is what the kernel knows of a subvolume.
type Info struct {
	ID           uint64
	Generation   uint64    // transaction of the last change
	UUID         UUID      // its own
	ParentUUID   UUID      // of the subvolume that it is a snapshot of; zero if it is none
	ReceivedUUID UUID      // of the snapshot that it was received from; zero if it was not
	Ctransid     uint64    // transaction of the last change of content; a send stream carries it beside UUID
	Otransid     uint64    // transaction that made it; that of a snapshot never changes
	Stransid     uint64    // the sender's Ctransid, if received
	ReadOnly     bool      // as a snapshot; the live mailbox is not
	Otime        time.Time // when it was made, to the nanosecond, by the host's clock
}

// ReadOpen returns the facts of the subvolume whose root directory is open.
// Errors: [ErrNotSubvolume].
func ReadOpen(root *os.File) (Info, error) {
	err := checkSubvolume(root)
	if err == nil {
		var info Info
		if info, err = readInfo(root); err == nil {
			return info, nil
		}
	}
	return Info{}, fmt.Errorf("read subvolume %q: %w", root.Name(), err)
}

// Read returns the facts of the subvolume at path. Errors: [ErrNotExist],
// [ErrNotBtrfs], [ErrNotSubvolume].
func Read(path string) (Info, error) {
	f, err := openSubvolume(path)
	if err != nil {
		return Info{}, fmt.Errorf("read subvolume: %w", err)
	}
	defer f.Close()
	info, err := readInfo(f)
	if err != nil {
		return Info{}, fmt.Errorf("read subvolume %q: %w", path, err)
	}
	return info, nil
}

// rootIno is the inode number of every subvolume's root directory
// (BTRFS_FIRST_FREE_OBJECTID), and on btrfs of nothing else.
const rootIno = 256

// readAt reads the subvolume name in the directory d, which must not be a symlink.
func readAt(d *os.File, name string) (Info, error) {
	fd, err := unix.Openat(int(d.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOTDIR || err == unix.ELOOP {
		return Info{}, ErrNotSubvolume
	} else if err != nil {
		return Info{}, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if err := checkSubvolume(f); err != nil {
		return Info{}, err
	}
	return readInfo(f)
}

// openBtrfs opens a file or directory and makes sure that it is on btrfs.
// O_NONBLOCK: a FIFO must not hold us up.
func openBtrfs(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		f.Close()
		return nil, fmt.Errorf("statfs %q: %w", path, err)
	}
	if uint32(st.Type) != unix.BTRFS_SUPER_MAGIC {
		f.Close()
		return nil, fmt.Errorf("%q: %w", path, ErrNotBtrfs)
	}
	return f, nil
}

func openDir(path string) (*os.File, error) {
	f, err := openBtrfs(path)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || !st.IsDir() {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("%q: %w", path, unix.ENOTDIR))
	}
	return f, nil
}

func openSubvolume(path string) (*os.File, error) {
	f, err := openBtrfs(path)
	if err != nil {
		return nil, err
	}
	if err := checkSubvolume(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("%q: %w", path, err)
	}
	return f, nil
}

// checkSubvolume looks at the inode number and asks for the file system once
// more: what was opened below a directory on btrfs can be a mount of another.
func checkSubvolume(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	var sfs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &sfs); err != nil {
		return err
	}
	if uint32(sfs.Type) != unix.BTRFS_SUPER_MAGIC || st.Ino != rootIno || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return ErrNotSubvolume
	}
	return nil
}

// checkName: the name of a subvolume is one component (BTRFS_VOL_NAME_MAX 255
// is left to the kernel).
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") || len(name) > 255 {
		return fmt.Errorf("%q is no name for a snapshot: %w", name, unix.EINVAL)
	}
	return nil
}

// procPath names an open directory for a library that takes paths, so that
// it works on what was checked and not on what has come to the path since.
func procPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// subvolInfo is struct btrfs_ioctl_get_subvol_info_args of linux/btrfs.h.
type subvolInfo struct {
	treeID                                 uint64
	name                                   [256]byte
	parentID, dirID                        uint64
	generation, flags                      uint64
	uuid, parentUUID, receivedUUID         UUID
	ctransid, otransid, stransid, rtransid uint64
	ctime, otime, stime, rtime             timespec
	_                                      [8]uint64
}

// timespec is struct btrfs_ioctl_timespec.
type timespec struct {
	sec  uint64
	nsec uint32
	_    uint32
}

// fsInfo is struct btrfs_ioctl_fs_info_args; we want the fsid only.
type fsInfo struct {
	maxID, numDevices uint64
	fsid              UUID
	_                 [992]byte
}

const (
	iocRead        = 2 << 30
	iocMagic       = 0x94 << 8
	iocGetSubvol   = iocRead | unsafe.Sizeof(subvolInfo{})<<16 | iocMagic | 60 // BTRFS_IOC_GET_SUBVOL_INFO, Linux 4.18
	iocFsInfo      = iocRead | unsafe.Sizeof(fsInfo{})<<16 | iocMagic | 31     // BTRFS_IOC_FS_INFO
	rootSubvolRdOn = 1 << 0                                                    // BTRFS_ROOT_SUBVOL_RDONLY, of the root item's flags
)

func readInfo(f *os.File) (Info, error) {
	var a subvolInfo
	if err := ioctl(f, iocGetSubvol, unsafe.Pointer(&a)); err != nil {
		return Info{}, fmt.Errorf("BTRFS_IOC_GET_SUBVOL_INFO: %w", err)
	}
	return Info{
		ID: a.treeID, Generation: a.generation,
		UUID: a.uuid, ParentUUID: a.parentUUID, ReceivedUUID: a.receivedUUID,
		Ctransid: a.ctransid, Otransid: a.otransid, Stransid: a.stransid,
		ReadOnly: a.flags&rootSubvolRdOn != 0,
		Otime:    time.Unix(int64(a.otime.sec), int64(a.otime.nsec)),
	}, nil
}

func fsid(f *os.File) (UUID, error) {
	var a fsInfo
	if err := ioctl(f, iocFsInfo, unsafe.Pointer(&a)); err != nil {
		return UUID{}, fmt.Errorf("BTRFS_IOC_FS_INFO %q: %w", f.Name(), err)
	}
	return a.fsid, nil
}

func ioctl(f *os.File, req uintptr, arg unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), req, uintptr(arg))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
			continue
		}
		return errno
	}
}

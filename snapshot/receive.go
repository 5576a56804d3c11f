package snapshot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"github.com/dennwc/btrfs"
	"golang.org/x/sys/unix"
)

// Part ends the name of a subvolume that is still being received. [List] passes
// over it, so a name without it is there only when the subvolume is whole and on
// disk, see [Seal].
const Part = ".part"

// Create makes dir/name.part an empty writable subvolume, for a full stream, and
// returns a handle of its root. Nobody but root can look into it (mode 0700).
//
// Errors: [ErrExists] if name or name.part is there, [ErrNotExist], [ErrNotBtrfs].
func Create(dir, name string) (*os.File, error) {
	return begin(dir, name, func(d *os.File) error {
		return btrfs.CreateSubVolume(filepath.Join(procPath(d), name+Part))
	})
}

// Branch makes dir/name.part a writable snapshot of the read-only dir/parent,
// for an incremental stream, and returns a handle of its root. It is no longer a
// received one to btrfs: the kernel clears the received UUID of a writable snapshot.
//
// Errors as of [Create], and [ErrNotSnapshot] if the parent is writable.
func Branch(dir, parent, name string) (*os.File, error) {
	return begin(dir, name, func(d *os.File) error {
		if err := checkName(parent); err != nil {
			return err
		}
		info, err := readAt(d, parent)
		if err == nil && !info.ReadOnly {
			err = ErrNotSnapshot
		}
		if err != nil {
			return fmt.Errorf("parent %q: %w", parent, err)
		}
		return btrfs.SnapshotSubVolume(filepath.Join(procPath(d), parent), filepath.Join(procPath(d), name+Part), false)
	})
}

func begin(dir, name string, make func(d *os.File) error) (*os.File, error) {
	root, err := beginIn(dir, name, make)
	if err != nil {
		return nil, fmt.Errorf("make subvolume %q: %w", filepath.Join(dir, name+Part), err)
	}
	return root, nil
}

func beginIn(dir, name string, make func(d *os.File) error) (*os.File, error) {
	if err := errors.Join(checkName(name), checkName(name+Part)); err != nil {
		return nil, err
	}
	d, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	for _, n := range []string{name, name + Part} {
		if err := checkFree(d, n); err != nil {
			return nil, fmt.Errorf("%q: %w", n, err)
		}
	}
	if err := make(d); err != nil {
		return nil, err
	}
	root, err := openRoot(d, name+Part)
	if err != nil {
		return nil, err
	}
	// The library takes the umask's word for the mode.
	if err := root.Chmod(0o700); err != nil {
		root.Close()
		return nil, errors.Join(err, btrfs.DeleteSubVolume(filepath.Join(procPath(d), name+Part)))
	}
	return root, nil
}

// checkFree returns ErrExists if there is anything of that name in d.
func checkFree(d *os.File, name string) error {
	var st unix.Stat_t
	err := unix.Fstatat(int(d.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil {
		return ErrExists
	} else if err != unix.ENOENT {
		return err
	}
	return nil
}

// openRoot opens the subvolume name in d, which must not be a symlink.
func openRoot(d *os.File, name string) (*os.File, error) {
	fd, err := unix.Openat(int(d.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOTDIR || err == unix.ELOOP {
		return nil, ErrNotSubvolume
	} else if err != nil {
		return nil, err
	}
	root := os.NewFile(uintptr(fd), filepath.Join(d.Name(), name))
	if err := checkSubvolume(root); err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// Seal makes the writable dir/name.part, whose root is open as root and that
// nobody writes to any more, the read-only subvolume dir/name, received from the
// snapshot uuid in its transaction ctransid. When it returns, all of that is on
// disk but the name, which is when dir is next synced: so it is for whoever writes
// of it in dir, and syncs that. written is false if nothing was done to it since
// [Branch] has made it.
//
// The order is what makes the name a proof. btrfs commits transactions one after
// the other, but not the files' data with them: after "btrfs receive" a power cut
// can leave a read-only subvolume with its received UUID and with empty mails
// (measured on Linux 6.18). So syncfs comes first: when it returns, names, sizes
// and data are on disk; what nobody wrote to was on disk when the snapshot was
// made. Each later step but the last commits a transaction, so a cut
// leaves name.part as it was after some step, or name with all of it. The received
// UUID comes before the flag, as the kernel takes none from a read-only
// subvolume; the name comes last, as the flag is what [List] and [Delete] rely
// on. A directory that keeps its parent can be renamed although it is read-only.
// Whatever cut leaves name.part, [Discard] takes it away.
//
// Errors: [ErrExists] if there is a name meanwhile. After an error name.part is
// there, writable or not.
func Seal(root *os.File, dir, name string, uuid UUID, ctransid uint64, written bool) error {
	for _, step := range sealing(root, dir, name, uuid, ctransid, written) {
		if err := step.do(); err != nil {
			return fmt.Errorf("seal %q: %s: %w", filepath.Join(dir, name), step.what, err)
		}
	}
	return nil
}

type step struct {
	what string
	do   func() error
}

// sealing returns the steps of Seal.
func sealing(root *os.File, dir, name string, uuid UUID, ctransid uint64, written bool) []step {
	steps := []step{{"look", func() error { return checkPart(root, dir, name) }}}
	if written {
		steps = append(steps,
			// Whoever wrote it owns it, and may have opened it to others.
			step{"close it to others", func() error { return root.Chmod(0o700) }},
			step{"sync", func() error { return unix.Syncfs(int(root.Fd())) }})
	}
	return append(steps,
		step{"set the received UUID", func() error { return setReceived(root, uuid, ctransid) }},
		step{"make it read-only", func() error { return setReadOnly(root) }},
		step{"rename", func() error { return renamePart(dir, name) }})
}

// checkPart makes sure that root is what dir/name.part is.
func checkPart(root *os.File, dir, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := checkSubvolume(root); err != nil {
		return err
	}
	have, err := readInfo(root)
	if err != nil {
		return err
	}
	d, err := openDir(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	is, err := readAt(d, name+Part)
	if err == nil && is.UUID != have.UUID {
		err = fmt.Errorf("another subvolume has come there meanwhile: %w", ErrExists)
	}
	return err
}

func renamePart(dir, name string) error {
	d, err := openDir(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Renameat2(int(d.Fd()), name+Part, int(d.Fd()), name, unix.RENAME_NOREPLACE)
}

// receivedArgs is struct btrfs_ioctl_received_subvol_args of linux/btrfs.h.
type receivedArgs struct {
	uuid               UUID
	stransid, rtransid uint64
	stime, rtime       timespec
	flags              uint64
	_                  [16]uint64
}

const iocSetReceived = (iocRead | iocWrite) | unsafe.Sizeof(receivedArgs{})<<16 | iocMagic | 37 // BTRFS_IOC_SET_RECEIVED_SUBVOL

func setReceived(root *os.File, uuid UUID, ctransid uint64) error {
	a := receivedArgs{uuid: uuid, stransid: ctransid}
	if err := ioctl(root, iocSetReceived, unsafe.Pointer(&a)); err != nil {
		return fmt.Errorf("BTRFS_IOC_SET_RECEIVED_SUBVOL: %w", err)
	}
	return nil
}

func setReadOnly(root *os.File) error {
	fs, err := btrfs.Open(procPath(root), true)
	if err != nil {
		return err
	}
	defer fs.Close()
	return fs.SetFlags(btrfs.SubvolReadOnly)
}

// Discard deletes the subvolume dir/name.part, writable or not, whatever it
// holds, and nothing else: [ErrNotSubvolume] for anything else of that name,
// [ErrNotExist] if there is nothing. As after [Delete], a power cut can bring it
// back; it is one of the [Leftovers] then.
func Discard(dir, name string) error {
	if err := discard(dir, name); err != nil {
		return fmt.Errorf("discard subvolume %q: %w", filepath.Join(dir, name+Part), err)
	}
	return nil
}

func discard(dir, name string) error {
	if err := errors.Join(checkName(name), checkName(name+Part)); err != nil {
		return err
	}
	d, err := openDir(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if _, err := readAt(d, name+Part); err != nil {
		return err
	}
	return btrfs.DeleteSubVolume(filepath.Join(procPath(d), name+Part))
}

// Leftovers returns the names, without ".part", of the subvolumes in dir that a
// receive has begun and not ended, sorted: those that would be [Entry] names.
// While no receive runs, each is for [Discard].
func Leftovers(dir string) ([]string, error) {
	d, err := openDir(dir)
	if err != nil {
		return nil, fmt.Errorf("find leftovers: %w", err)
	}
	defer d.Close()
	all, err := d.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("find leftovers: %w", err)
	}
	var names []string
	for _, n := range all {
		name, isPart := strings.CutSuffix(n, Part)
		if _, _, ok := ParseName(name); !ok || !isPart {
			continue
		}
		_, err := readAt(d, n)
		if errors.Is(err, ErrNotSubvolume) || errors.Is(err, ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("find leftovers: %q: %w", filepath.Join(dir, n), err)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// Open opens the root of the read-only subvolume dir/name. Errors: those of
// [Read], and [ErrNotSnapshot].
func Open(dir, name string) (*os.File, error) {
	root, err := openSnapshot(dir, name)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %q: %w", filepath.Join(dir, name), err)
	}
	return root, nil
}

func openSnapshot(dir, name string) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	d, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	root, err := openRoot(d, name)
	if err != nil {
		return nil, err
	}
	info, err := readInfo(root)
	if err == nil && !info.ReadOnly {
		err = ErrNotSnapshot
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

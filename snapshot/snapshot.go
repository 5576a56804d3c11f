// Package snapshot takes, finds, reads and deletes btrfs snapshots of a mail
// store, and decides which old ones may go. The words are those of btrfs(8) and
// btrfs-subvolume(8); the rules for old ones are btrbk's, see [Keep].
//
// Paths come from the configuration and are followed as they are. Names of
// snapshots are single components below a directory that belongs to root; they
// are opened without following symlinks. Making, reading and deleting a
// snapshot needs root (CAP_SYS_ADMIN).
package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/dennwc/btrfs"
)

// Errors that a caller tells apart with errors.Is.
var (
	ErrNotBtrfs     = errors.New("not on btrfs")                           // the path is on another file system
	ErrNotSubvolume = errors.New("not a btrfs subvolume")                  // a plain file or directory, or a symlink
	ErrNotSnapshot  = errors.New("not a read-only subvolume")              // [Delete] of something that is writable
	ErrOtherFS      = errors.New("on another file system than its source") // [Take] across file systems
	ErrExists       = fs.ErrExist                                          // the name is taken
	ErrNotExist     = fs.ErrNotExist                                       // the path or name is not there
)

// The two sides of a sync; they begin the name of a snapshot.
const (
	Online  = "online"
	Offline = "offline"
)

// An Entry is a snapshot as [List] finds it.
type Entry struct {
	Name string // "online.12"
	Side string // Online or Offline
	Sync int    // number of the sync, 12
	Info Info
}

// Name returns the name of a side's snapshot of a sync: "online.12".
func Name(side string, sync int) string { return side + "." + strconv.Itoa(sync) }

// ParseName takes apart what [Name] makes, and nothing else: "online.07",
// "online.7.new" and "offline" are not ours.
func ParseName(name string) (side string, sync int, ok bool) {
	side, n, _ := strings.Cut(name, ".")
	sync, err := strconv.Atoi(n)
	ok = err == nil && sync >= 0 && (side == Online || side == Offline) && name == Name(side, sync)
	return side, sync, ok
}

// Take makes dir/name a read-only snapshot of the subvolume live. When it
// returns, snapshot and data are on disk: the ioctl writes out the dirty data of
// that subvolume and commits the transaction before it returns (fs/btrfs/ioctl.c
// btrfs_mksnapshot; measured by power cuts on Linux 6.18). A power cut before
// that leaves no snapshot, never half of one. Subvolumes nested in live are not
// part of it, see [Subvolumes].
//
// Errors: [ErrExists], [ErrNotExist], [ErrNotBtrfs], [ErrNotSubvolume],
// [ErrOtherFS]. What the kernel refuses beyond these comes as text only, as the
// btrfs library does not hand on the errno.
func Take(live, dir, name string) error {
	if err := take(live, dir, name); err != nil {
		return fmt.Errorf("snapshot %q of %q: %w", filepath.Join(dir, name), live, err)
	}
	return nil
}

func take(live, dir, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	src, err := openSubvolume(live)
	if err != nil {
		return err
	}
	defer src.Close()
	source, err := readInfo(src)
	if err != nil {
		return err
	}
	d, err := openDir(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if same, err := sameFilesystem(src, d); err != nil {
		return err
	} else if !same {
		return ErrOtherFS
	}
	if err := checkFree(d, name); err != nil {
		return err
	}
	if err := btrfs.SnapshotSubVolume(procPath(src), filepath.Join(procPath(d), name), true); err != nil {
		return err
	}
	// The library makes the snapshot inside a directory that appears under the
	// name in the meantime. Only what is found there afterwards counts.
	made, err := readAt(d, name)
	if err != nil {
		return err
	}
	if !made.ReadOnly || made.ParentUUID != source.UUID {
		return fmt.Errorf("something else has come there meanwhile: %w", ErrExists)
	}
	return nil
}

// Delete deletes the snapshot dir/name, whatever it holds, in constant time;
// the kernel's cleaner frees the space later. It refuses what is not a
// subvolume ([ErrNotSubvolume]) or is writable ([ErrNotSnapshot]), so a live
// mailbox can not go by mistake. [ErrNotExist] if it is gone already: after a
// power cut within the commit interval (30 s) it may be back, so a second
// Delete must be harmless.
//
// Between check and deletion nothing holds the name in place: dir must belong
// to root alone.
func Delete(dir, name string) error {
	if err := remove(dir, name); err != nil {
		return fmt.Errorf("delete snapshot %q: %w", filepath.Join(dir, name), err)
	}
	return nil
}

func remove(dir, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	d, err := openDir(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	info, err := readAt(d, name)
	if err != nil {
		return err
	}
	if !info.ReadOnly {
		return ErrNotSnapshot
	}
	return btrfs.DeleteSubVolume(filepath.Join(procPath(d), name))
}

// List returns the snapshots in dir that bear a name of [Name], by sync number
// and side. Everything else in dir is somebody else's and is passed over. A
// subvolume of such a name that is writable is listed; its Info says so.
func List(dir string) ([]Entry, error) {
	d, err := openDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var list []Entry
	for _, name := range names {
		side, sync, ok := ParseName(name)
		if !ok {
			continue
		}
		info, err := readAt(d, name)
		if errors.Is(err, ErrNotSubvolume) || errors.Is(err, ErrNotExist) { // deleted since
			continue
		} else if err != nil {
			return nil, fmt.Errorf("list snapshots: %q: %w", filepath.Join(dir, name), err)
		}
		list = append(list, Entry{name, side, sync, info})
	}
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Sync, b.Sync), strings.Compare(a.Side, b.Side))
	})
	return list, nil
}

// SameFilesystem reports whether two files or directories are on one btrfs, so
// that a snapshot or clone can go from one to the other. Their st_dev does not
// tell: every subvolume has its own. [ErrNotBtrfs] if either is on another
// kind of file system.
func SameFilesystem(a, b string) (bool, error) {
	same := func() (bool, error) {
		fa, err := openBtrfs(a)
		if err != nil {
			return false, err
		}
		defer fa.Close()
		fb, err := openBtrfs(b)
		if err != nil {
			return false, err
		}
		defer fb.Close()
		return sameFilesystem(fa, fb)
	}
	ok, err := same()
	if err != nil {
		return false, fmt.Errorf("compare file systems: %w", err)
	}
	return ok, nil
}

func sameFilesystem(a, b *os.File) (bool, error) {
	ida, err := fsid(a)
	if err != nil {
		return false, err
	}
	idb, err := fsid(b)
	return ida == idb, err
}

package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// An Inode is what an inode item tells (struct btrfs_inode_item).
type Inode struct {
	Ino     uint64
	Made    uint64 // transaction that made it
	Transid uint64 // transaction that last changed it: its names, its content or what else is here
	Size    int64  // bytes; of a directory: twice the lengths of its names
	Nlink   uint32 // names
	Mode    uint32 // st_mode
	Atime   unix.Timespec
	Ctime   unix.Timespec
	Mtime   unix.Timespec
}

// A DirEntry is an entry of a directory (struct btrfs_dir_item).
type DirEntry struct {
	Name   []byte // a part of the item's Data
	Target Key    // InodeItemType; RootItemType for a nested subvolume
}

var errShort = errors.New("an item is not as long as it says")

const (
	inodeLen    = 160
	refLen      = 10
	extRefLen   = 18
	dirEntryLen = 30
	nameLen     = 255 // BTRFS_NAME_LEN
)

// Inode takes an item of InodeItemType apart.
func (i Item) Inode() (Inode, error) {
	d := i.Data
	if i.Type != InodeItemType || len(d) != inodeLen {
		return Inode{}, i.fault("inode", errShort)
	}
	time := func(at int) unix.Timespec {
		return unix.Timespec{Sec: int64(u64(d[at:])), Nsec: int64(u32(d[at+8:]))}
	}
	return Inode{
		Ino: i.Object, Made: u64(d), Transid: u64(d[8:]), Size: int64(u64(d[16:])), Nlink: u32(d[40:]), Mode: u32(d[52:]),
		Atime: time(112), Ctime: time(124), Mtime: time(136),
	}, nil
}

// Refs takes an item of InodeRefType or ExtRefType apart: the names of the inode
// Object, each with the inode number of the directory that it is in. A name is a
// part of the item's Data.
func (i Item) Refs(yield func(dir uint64, name []byte) error) error {
	head := refLen
	if i.Type == ExtRefType {
		head = extRefLen
	} else if i.Type != InodeRefType {
		return i.fault("names", errors.New("another type of item"))
	}
	for d := i.Data; len(d) > 0; {
		if len(d) < head {
			return i.fault("names", errShort)
		}
		dir := i.Offset
		if i.Type == ExtRefType {
			dir = u64(d)
		}
		n := int(binary.LittleEndian.Uint16(d[head-2:]))
		if n == 0 || n > nameLen || head+n > len(d) {
			return i.fault("names", errShort)
		}
		if err := yield(dir, d[head:head+n:head+n]); err != nil {
			return err
		}
		d = d[head+n:]
	}
	return nil
}

// DirEntry takes an item of DirIndexType apart.
func (i Item) DirEntry() (DirEntry, error) {
	d := i.Data
	if i.Type != DirIndexType || len(d) < dirEntryLen {
		return DirEntry{}, i.fault("directory entry", errShort)
	}
	data, n := int(binary.LittleEndian.Uint16(d[25:])), int(binary.LittleEndian.Uint16(d[27:]))
	if n == 0 || n > nameLen || data != 0 || len(d) != dirEntryLen+n {
		return DirEntry{}, i.fault("directory entry", errShort)
	}
	return DirEntry{Name: d[dirEntryLen:], Target: Key{u64(d), d[8], u64(d[9:])}}, nil
}

func (i Item) fault(what string, err error) error {
	return fmt.Errorf("%s of inode %d (type %d, %d bytes): %w", what, i.Object, i.Type, len(i.Data), err)
}

func u64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
func u32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

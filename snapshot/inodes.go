package snapshot

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An inode is one of a subvolume, as its tree has it.
type inode struct {
	ino, generation uint64
	size            int64
	regular         bool
}

// searchArgs is struct btrfs_ioctl_search_args_v2 of linux/btrfs.h, with a buffer.
type searchArgs struct {
	treeID                   uint64 // 0: the subvolume that the handle is in
	minObject, maxObject     uint64
	minOffset, maxOffset     uint64
	minTransid, maxTransid   uint64
	minType, maxType, nItems uint32
	_                        uint32
	_                        [4]uint64
	bufSize                  uint64
	buf                      [64 << 10]byte
}

const (
	searchKeySize  = 112 // sizeof(struct btrfs_ioctl_search_args_v2): without the buffer
	iocTreeSearch2 = (iocRead | iocWrite) | searchKeySize<<16 | iocMagic | 17
	itemHeader     = 32  // sizeof(struct btrfs_ioctl_search_header)
	inodeItem      = 1   // BTRFS_INODE_ITEM_KEY
	inodeItemSize  = 160 // sizeof(struct btrfs_inode_item)
	firstObject    = 256 // BTRFS_FIRST_FREE_OBJECTID
	lastObject     = ^uint64(0) - 255
)

// eachInode calls f for the inodes of the subvolume, in the order of their numbers,
// until it returns false. It reads the tree's leaves one after the other, in the
// order in which a full send does, and keeps nothing: 2 µs a mail.
func eachInode(snap *os.File, f func(inode) bool) error {
	a := &searchArgs{minObject: firstObject, maxObject: lastObject, maxOffset: ^uint64(0),
		maxTransid: ^uint64(0), maxType: ^uint32(0)}
	for {
		a.nItems, a.bufSize = ^uint32(0), uint64(len(a.buf))
		if err := ioctl(snap, iocTreeSearch2, unsafe.Pointer(a)); err != nil {
			return fmt.Errorf("BTRFS_IOC_TREE_SEARCH_V2: %w", err)
		}
		if a.nItems == 0 {
			return nil
		}
		b := a.buf[:]
		for range a.nItems {
			le := binary.LittleEndian // of the item; the header is the host's, see below
			ne := binary.NativeEndian
			a.minObject, a.minOffset, a.minType = ne.Uint64(b[8:]), ne.Uint64(b[16:]), ne.Uint32(b[24:])
			n := int(ne.Uint32(b[28:]))
			item := b[itemHeader : itemHeader+n]
			b = b[itemHeader+n:]
			if a.minType != inodeItem || n < inodeItemSize {
				continue
			}
			i := inode{ino: a.minObject, generation: le.Uint64(item), size: int64(le.Uint64(item[16:])),
				regular: le.Uint32(item[52:])&unix.S_IFMT == unix.S_IFREG}
			if !f(i) {
				return nil
			}
		}
		if a.minOffset++; a.minOffset == 0 { // on to the next key
			if a.minType++; a.minType == 0 {
				a.minObject++
			}
		}
	}
}

// open opens the inode without a name: by the handle that btrfs makes for NFS
// (fs/btrfs/export.h struct btrfs_fid, without its parent). It needs CAP_DAC_READ_SEARCH.
func (i inode) open(snap *os.File, root uint64) (int, error) {
	const withoutParent = 0x4d // FILEID_BTRFS_WITHOUT_PARENT
	var b [20]byte
	ne := binary.NativeEndian
	ne.PutUint64(b[:], i.ino)
	ne.PutUint64(b[8:], root)
	ne.PutUint32(b[16:], uint32(i.generation))
	return unix.OpenByHandleAt(int(snap.Fd()), unix.NewFileHandle(withoutParent, b[:]), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK)
}

package snapshot

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"unsafe"
)

// A Key is the place of an item in a subvolume's tree (struct btrfs_key). Items
// are sorted by Object, then Type, then Offset. What the parts mean depends on
// the type; Object is the inode number for all types that are named here.
type Key struct {
	Object uint64
	Type   uint8
	Offset uint64
}

// The types of items that this package can take apart (linux/btrfs_tree.h), and
// that of a DirEntry's target that is a subvolume.
const (
	InodeItemType = 1   // Offset 0
	InodeRefType  = 12  // Offset: the directory
	ExtRefType    = 13  // names that an InodeRef has no room for; Offset: a hash
	DirItemType   = 84  // the entries of a directory by the hash of their name; not taken apart
	DirIndexType  = 96  // the same by the order of their making; Offset: a count
	RootItemType  = 132 // of a subvolume
)

// MaxKey is greater than the key of any item.
var MaxKey = Key{math.MaxUint64, math.MaxUint8, math.MaxUint64}

// Compare orders keys as a tree does.
func (k Key) Compare(l Key) int {
	return cmp.Or(cmp.Compare(k.Object, l.Object), cmp.Compare(k.Type, l.Type), cmp.Compare(k.Offset, l.Offset))
}

// next returns the key after k; of MaxKey there is none.
func (k Key) next() (Key, bool) {
	k.Offset++
	if k.Offset == 0 {
		k.Type++
		if k.Type == 0 {
			k.Object++
		}
	}
	return k, k != Key{}
}

// An Item is one of a subvolume's tree.
type Item struct {
	Key
	Data []byte // as it is on disk; until the next call of Next only
}

// A Search reads the items of a subvolume in the order of their keys, by
// BTRFS_IOC_TREE_SEARCH_V2 (Linux 3.14), which needs CAP_SYS_ADMIN. It reads the
// tree as it is on disk: what is in it of a subvolume that is being changed is
// seen or not, so only a read-only one can be relied on.
type Search struct {
	root       *os.File
	tree       uint64 // 0: the subvolume's own
	from, to   Key
	minTransid uint64
	args       []uint64 // a searchArgs and what the kernel puts behind it
	rest       []byte   // of that, what Next has not returned yet
	done       bool
}

// searchArgs is struct btrfs_ioctl_search_args_v2 of linux/btrfs.h, without what
// it finds.
type searchArgs struct {
	tree                   uint64 // 0: that of the directory the call is made on
	minObject, maxObject   uint64
	minOffset, maxOffset   uint64
	minTransid, maxTransid uint64
	minType, maxType       uint32
	items                  uint32
	_                      uint32
	_                      [4]uint64
	size                   uint64
}

const (
	iocSearch = iocRead | iocWrite | unsafe.Sizeof(searchArgs{})<<16 | iocMagic | 17 // BTRFS_IOC_TREE_SEARCH_V2

	// searchBuffer: no item is as long as a node, which is at most 64 KiB. More, up to
	// 1 MiB, saves no time, and the more is read in vain before a Seek.
	searchBuffer = 64 << 10
	// searchHeader is the length of struct btrfs_ioctl_search_header.
	searchHeader = 32
)

// NewSearch returns a Search for the items from the key from to the key to, both
// included, in the subvolume whose root directory is open.
//
// minTransid, if not 0, leaves out what was last written before that transaction.
// That goes by leaf: all items of a leaf are as new as the newest, and what was
// removed is not there to be found.
func NewSearch(root *os.File, from, to Key, minTransid uint64) *Search {
	words := (unsafe.Sizeof(searchArgs{}) + searchBuffer) / 8
	return &Search{root: root, from: from, to: to, minTransid: minTransid, args: make([]uint64, words)}
}

// Restart begins another search with the memory of this one.
func (s *Search) Restart(from, to Key) {
	s.from, s.to, s.rest, s.done = from, to, nil, false
}

// Seek lets the next item be the first at k or after it, if that is not behind.
func (s *Search) Seek(k Key) {
	if s.from.Compare(k) < 0 {
		s.from = k
	}
}

// Next returns the next item; io.EOF after the last.
func (s *Search) Next() (Item, error) {
	for {
		if len(s.rest) == 0 {
			if s.done || s.from.Compare(s.to) > 0 {
				return Item{}, io.EOF
			}
			if err := s.fill(); err != nil {
				return Item{}, fmt.Errorf("search %q: %w", s.root.Name(), err)
			}
			continue
		}
		item, err := s.cut()
		if err != nil {
			return Item{}, fmt.Errorf("search %q: %w", s.root.Name(), err)
		}
		if item.Compare(s.from) < 0 {
			continue // sought over
		}
		if next, ok := item.next(); ok {
			s.from = next
		} else {
			s.done = true
		}
		return item, nil
	}
}

// fill asks the kernel for the items from s.from on.
func (s *Search) fill() error {
	a := (*searchArgs)(unsafe.Pointer(&s.args[0]))
	*a = searchArgs{
		tree:      s.tree,
		minObject: s.from.Object, minType: uint32(s.from.Type), minOffset: s.from.Offset,
		maxObject: s.to.Object, maxType: uint32(s.to.Type), maxOffset: s.to.Offset,
		minTransid: s.minTransid, maxTransid: math.MaxUint64,
		items: math.MaxUint32, size: searchBuffer,
	}
	if err := ioctl(s.root, iocSearch, unsafe.Pointer(a)); err != nil {
		return fmt.Errorf("BTRFS_IOC_TREE_SEARCH_V2: %w", err)
	}
	if a.items == 0 {
		s.done = true
		return nil
	}
	found := unsafe.Slice((*byte)(unsafe.Pointer(&s.args[0])), len(s.args)*8)[unsafe.Sizeof(*a):]
	// The kernel tells how many items there are and not how long all of them.
	n := 0
	for range a.items {
		if n+searchHeader > len(found) {
			return errShort
		}
		n += searchHeader + int(binary.NativeEndian.Uint32(found[n+28:]))
	}
	if n > len(found) {
		return errShort
	}
	s.rest = found[:n]
	return nil
}

// cut takes the first item of s.rest. fill has looked at the lengths.
func (s *Search) cut() (Item, error) {
	h := s.rest
	kind := binary.NativeEndian.Uint32(h[24:])
	n := searchHeader + int(binary.NativeEndian.Uint32(h[28:]))
	if kind > math.MaxUint8 {
		return Item{}, fmt.Errorf("an item of type %d", kind)
	}
	item := Item{
		Key:  Key{binary.NativeEndian.Uint64(h[8:]), uint8(kind), binary.NativeEndian.Uint64(h[16:])},
		Data: h[searchHeader:n:n],
	}
	s.rest = h[n:]
	return item, nil
}

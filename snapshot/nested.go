package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	rootTree    = 1   // BTRFS_ROOT_TREE_OBJECTID
	rootRefType = 156 // BTRFS_ROOT_REF_KEY: by the number of the subvolume around, of that within
)

// lookupArgs is struct btrfs_ioctl_ino_lookup_args of linux/btrfs.h.
type lookupArgs struct {
	tree, inode uint64
	path        [4080]byte
}

const iocLookup = iocRead | iocWrite | unsafe.Sizeof(lookupArgs{})<<16 | iocMagic | 18 // BTRFS_IOC_INO_LOOKUP

// Subvolumes returns the paths below a subvolume's root directory at which other
// subvolumes are, in any depth but for those within them, sorted. A snapshot shows
// empty directories in their places, and a send stream nothing at all. The cost
// goes with their number, as the kernel keeps a list.
func Subvolumes(root string) ([]string, error) {
	f, err := openSubvolume(root)
	if err != nil {
		return nil, fmt.Errorf("look for subvolumes in it: %w", err)
	}
	defer f.Close()
	out, err := subvolumes(f)
	if err != nil {
		return nil, fmt.Errorf("look for subvolumes in %q: %w", root, err)
	}
	slices.Sort(out)
	return out, nil
}

func subvolumes(f *os.File) (out []string, err error) {
	info, err := readInfo(f)
	if err != nil {
		return nil, err
	}
	s := NewSearch(f, Key{info.ID, rootRefType, 0}, Key{info.ID, rootRefType, math.MaxUint64}, 0)
	s.tree = rootTree
	for {
		item, err := s.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		const head = 18 // struct btrfs_root_ref: directory, sequence, length of the name
		if len(item.Data) <= head {
			return nil, fmt.Errorf("a reference to a subvolume of %d bytes", len(item.Data))
		}
		name := string(item.Data[head:])
		dir, err := inodePath(f, u64(item.Data))
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENAMETOOLONG) {
			continue // gone meanwhile, or deeper than any path that can be given
		}
		if err != nil {
			return nil, err
		}
		out = append(out, path.Join(dir, name))
	}
}

// inodePath returns where a directory is in the subvolume.
func inodePath(f *os.File, inode uint64) (string, error) {
	a := lookupArgs{inode: inode}
	if err := ioctl(f, iocLookup, unsafe.Pointer(&a)); err != nil {
		return "", fmt.Errorf("BTRFS_IOC_INO_LOOKUP: %w", err)
	}
	end := max(bytes.IndexByte(a.path[:], 0), 0)
	return string(a.path[:end]), nil
}

package snapshot

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// ErrNoUsage: quotas are off on the file system, or their numbers are not right
// at the moment ("btrfs quota rescan"). Without them only reading the extents of
// every file could tell.
var ErrNoUsage = errors.New("btrfs does not count what a snapshot holds alone (quota groups are off, simple, or being counted)")

const (
	quotaTree    = 8   // BTRFS_QUOTA_TREE_OBJECTID
	quotaStatus  = 240 // BTRFS_QGROUP_STATUS_KEY
	quotaInfo    = 242 // BTRFS_QGROUP_INFO_KEY, by the ID of the subvolume
	quotaOn      = 1 << 0
	quotaUnknown = 1<<1 | 1<<2 | 1<<3 // being rescanned, inconsistent, simple
)

// Exclusive returns, by the ID of each subvolume on the file system of path, the
// bytes that nothing else holds: what deleting that one would free. Deleting two
// frees more than the sum of both, since what only these two share goes with
// them. It is what "btrfs qgroup show" calls exclusive, of the last
// commit. Errors: [ErrNoUsage], [ErrNotBtrfs].
func Exclusive(path string) (map[uint64]uint64, error) {
	f, err := openBtrfs(path)
	if err != nil {
		return nil, fmt.Errorf("exclusive space: %w", err)
	}
	defer f.Close()
	s := NewSearch(f, Key{Type: quotaStatus}, Key{Type: quotaInfo, Offset: 1<<48 - 1}, 0)
	s.tree = quotaTree
	out, counted := map[uint64]uint64{}, false
	for {
		item, err := s.Next()
		switch {
		case errors.Is(err, unix.ENOENT): // there is no such tree
			return nil, ErrNoUsage
		case err == io.EOF && !counted:
			return nil, ErrNoUsage
		case err == io.EOF:
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("exclusive space: %w", err)
		}
		switch d := item.Data; { // struct btrfs_qgroup_status_item, btrfs_qgroup_info_item
		case item.Type == quotaStatus && len(d) >= 24:
			flags := u64(d[16:])
			counted = flags&quotaOn != 0 && flags&quotaUnknown == 0
		case item.Type == quotaInfo && len(d) >= 40:
			out[item.Offset] = u64(d[24:])
		}
	}
}

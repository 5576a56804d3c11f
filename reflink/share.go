package reflink

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// shareMin is the smallest file that is worth sharing: btrfs keeps smaller ones
// inside its metadata (max_inline, 2048 by default), where nothing can be shared.
const shareMin = 2049

// Share is [SameBytes], and lets dst have the extents of src if they are equal:
// the kernel compares and shares in one call, so that nothing can come in between
// (FIDEDUPERANGE, ioctl_fideduperange(2)). Neither content changes. For root dst
// may be open for reading only, and on btrfs even in a read-only subvolume.
//
// Where files can not share extents they are only compared.
func Share(dst, src *os.File) (same bool, err error) {
	var sd, ss unix.Stat_t
	if err := statRegular(dst, &sd); err != nil {
		return false, err
	}
	if err := statRegular(src, &ss); err != nil {
		return false, err
	}
	if sd.Size != ss.Size {
		return false, nil
	}
	if sd.Size < shareMin || sd.Dev == ss.Dev && sd.Ino == ss.Ino {
		return SameBytes(dst, src)
	}
	for off := uint64(0); off < uint64(sd.Size); {
		r := unix.FileDedupeRange{Src_offset: off, Src_length: uint64(sd.Size) - off,
			Info: []unix.FileDedupeRangeInfo{{Dest_fd: int64(dst.Fd()), Dest_offset: off}}}
		err := unix.IoctlFileDedupeRange(int(src.Fd()), &r)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EIO || err == unix.ENOSPC:
			return false, fmt.Errorf("share %q: %w", dst.Name(), err)
		case err != nil || r.Info[0].Status < 0 || r.Info[0].Status == 0 && r.Info[0].Bytes_deduped == 0:
			return SameBytes(dst, src)
		case r.Info[0].Status != unix.FILE_DEDUPE_RANGE_SAME:
			return false, nil
		}
		off += r.Info[0].Bytes_deduped
	}
	return true, nil
}

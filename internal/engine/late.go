package engine

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/merge"
)

// A snapshot of btrfs holds every name of the moment when it is committed, but
// of the data only what was written before it was begun: it is flushed first, and
// only then the writers are kept out (btrfs_mksnapshot). Mail that is delivered in
// between without fsync(2) is in it as an empty file. Placed, it would be an empty
// mail at home; expired, it would be lost. So what has changed since the snapshot
// was begun is left for the next sync.

// tickAfter returns the clock that the kernel takes ctimes from when it is past
// t: up to two ticks later. It goes in ticks and lags behind, but what is changed
// from now on has no earlier ctime; and what was changed before t, a time of the
// clock that runs smoothly, has an earlier one.
func tickAfter(t time.Time) (time.Time, error) {
	for {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &ts); err != nil {
			return time.Time{}, fmt.Errorf("read the clock: %w", err)
		}
		if now := time.Unix(ts.Unix()); now.After(t) {
			return now, nil
		}
		time.Sleep(time.Millisecond)
	}
}

// late tells whether a message is new online and may have come while online's
// snapshot was taken. A ctime of later than that is of a clock that was wrong.
func (r *run) late(m merge.Message) bool {
	if len(m.Base[merge.Online])+len(m.Base[merge.Offline])+len(m.Now[merge.Offline]) > 0 {
		return false
	}
	for _, p := range m.Now[merge.Online] {
		if !p.Ctime.Before(r.begun) && !p.Ctime.After(r.taken) {
			return true
		}
	}
	return false
}

package stream

import (
	"errors"
	"os"

	"snapmerge/snapshot"
)

// errLineage: the transactions of these two say nothing of what differs.
var errLineage = errors.New("not two read-only snapshots of one subvolume, the older one first")

// since returns a bound for the changes of a subvolume between two snapshots of
// it, base and now: what differs was written in that transaction or a later one.
//
// It is the transaction that made base (otransid). The kernel makes a snapshot at
// the end of a transaction, when nobody else can write (btrfs_commit_transaction:
// create_pending_snapshots). So a change that came before is in base, and one that
// comes after has a later transaction, with one exception, for which the
// transaction itself is included: the entry for a snapshot that is put into
// a directory of this subvolume by the same transaction is written after base was
// copied. base's generation is no bound: it grows when the kernel clears up what
// was open and deleted when the snapshot was taken (btrfs_orphan_cleanup), which
// happens some time after.
//
// All of this needs one history: what was rolled back to an older state has leaves
// of that age which base has not. So both must be snapshots of one subvolume.
func since(base, now *os.File) (from uint64, err error) {
	old, err := snapshot.ReadOpen(base)
	if err != nil {
		return 0, err
	}
	young, err := snapshot.ReadOpen(now)
	if err != nil {
		return 0, err
	}
	if !old.ReadOnly || !young.ReadOnly || old.ParentUUID != young.ParentUUID ||
		old.ParentUUID == (snapshot.UUID{}) || old.Otransid > young.Otransid {
		return 0, errLineage
	}
	return old.Otransid, nil
}

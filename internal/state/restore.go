package state

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"snapmerge/merge"
	"snapmerge/tree"
)

// A RestoreID names a restore: the N-th after the sync of that number.
type RestoreID struct{ Sync, N int }

// String returns "7.1".
func (id RestoreID) String() string { return fmt.Sprintf("%d.%d", id.Sync, id.N) }

func (id RestoreID) file() string { return fmt.Sprintf("restore.%d.%d.json", id.Sync, id.N) }

// A Restore is mail that was brought back from snapshots between two syncs. It
// is a file of its own, restore.SYNC.N.json, written before the first mail is
// placed and once more at the end.
type Restore struct {
	RestoreID
	Mailbox  string
	Asked    string // the options, for a person to read
	Who      string
	Started  time.Time
	Finished time.Time // zero: it was interrupted, and what it did is not known
	Mails    []Restored
}

// A Restored is one mail of a restore, on one side.
type Restored struct {
	Side    merge.Side
	Message string
	Copy    *SnapshotFile `json:",omitempty"` // where it was taken from
	To      string        // folder
	After   *Named        `json:",omitempty"` // as it is to be, or is
	Effect  Effect        // "" while it is not known
	Why     string        `json:",omitempty"`
	File    *tree.File    `json:",omitempty"` // as it was made
}

// The effects that only a restore has.
const (
	There Effect = "there" // nothing to do: the mail is there
	Lost  Effect = "lost"  // no snapshot that is kept has it
)

const restoreKind = "restore"

// WriteRestore writes the file of a restore, again if it is finished. When it
// returns, the file is durable; after a crash it is there as a whole or as it
// was before.
func WriteRestore(dir *os.File, r *Restore) error {
	f, err := publish(dir, r.file(), !r.Finished.IsZero(), sealed(restoreKind, encoded(*r)))
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("write %q: %w", r.file(), err)
	}
	return nil
}

// ReadRestore reads the file of a restore. Errors: fs.ErrNotExist, [ErrDamaged],
// [ErrVersion].
func ReadRestore(dir *os.File, id RestoreID) (*Restore, error) {
	r, err := readRestore(dir, id)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", id.file(), err)
	}
	return r, nil
}

func readRestore(dir *os.File, id RestoreID) (*Restore, error) {
	f, err := open(dir, id.file())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := new(Restore)
	if err = unsealOne(f, restoreKind, r); err == nil && r.RestoreID != id {
		err = fmt.Errorf("%w: it is that of restore %s", ErrDamaged, r.RestoreID)
	}
	return r, err
}

// ListRestores returns the restores of which the directory has a file, in their
// order. It does not look into them.
func ListRestores(dir *os.File) ([]RestoreID, error) {
	entries, err := fs.ReadDir(os.DirFS(fmt.Sprintf("/proc/self/fd/%d", dir.Fd())), ".")
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", dir.Name(), err)
	}
	var out []RestoreID
	for _, e := range entries {
		var id RestoreID
		if n, _ := fmt.Sscanf(e.Name(), "restore.%d.%d.json", &id.Sync, &id.N); n == 2 && e.Name() == id.file() {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b RestoreID) int { return cmp.Or(cmp.Compare(a.Sync, b.Sync), cmp.Compare(a.N, b.N)) })
	return out, nil
}

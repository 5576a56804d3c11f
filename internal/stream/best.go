package stream

import (
	"context"
	"errors"
	"fmt"
	"os"

	"snapmerge/tree"
)

// A Way is how the changes were found.
type Way string

// The ways of [Best].
const (
	Nothing Way = "nothing" // no inode was touched
	Sending Way = "send"    // as Diff
	Listing Way = "list"    // by a search for what was touched, and the names in directories that were
	Walking Way = "walk"    // all of both snapshots was read and compared
)

// Best returns what [Diff] returns, in the way that is likely to be the fastest;
// Stats.Way tells which it was. Where one can not be gone it takes another, in the
// end that of reading both snapshots in full, which needs no btrfs; Stats.Failed
// is why.
func Best(ctx context.Context, base, now *os.File, known Base, l tree.Layout) (tree.Changes, Stats, error) {
	c, stats, err := best(ctx, base, now, known, l)
	if err != nil {
		return tree.Changes{}, Stats{}, fmt.Errorf("diff of %q and %q: %w", base.Name(), now.Name(), err)
	}
	return c, stats, nil
}

func best(ctx context.Context, base, now *os.File, known Base, l tree.Layout) (tree.Changes, Stats, error) {
	seen, failed := look(ctx, base, now)
	ways := []Way{Sending, Walking}
	if failed == nil {
		if len(seen.dirs) == 0 && seen.files == 0 {
			return tree.Changes{}, Stats{Way: Nothing, Items: seen.items}, nil
		}
		ways = []Way{Sending, Listing, Walking}
		if seen.listingIsCheaper() {
			ways = []Way{Listing, Sending, Walking}
		}
	}
	for _, way := range ways {
		c, stats, err := way.diff(ctx, base, now, seen, known, l)
		if err == nil {
			stats.Way, stats.Failed = way, failed
			return c, stats, nil
		}
		failed = errors.Join(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return tree.Changes{}, Stats{}, failed
}

// look searches for what was touched.
func look(ctx context.Context, base, now *os.File) (*touched, error) {
	from, err := since(base, now)
	if err != nil {
		return nil, err
	}
	return touchedSince(ctx, now, from)
}

func (w Way) diff(ctx context.Context, base, now *os.File, seen *touched, known Base, l tree.Layout) (tree.Changes, Stats, error) {
	switch w {
	case Sending:
		return Diff(ctx, base, now, known, l)
	case Listing:
		return list(base, now, seen, known, l)
	}
	was, err := Scan(base, l)
	if err != nil {
		return tree.Changes{}, Stats{}, err
	}
	is, err := Scan(now, l)
	if err != nil {
		return tree.Changes{}, Stats{}, err
	}
	return tree.Diff(was, is), Stats{Refused: is.Refused, RefusedMore: is.RefusedMore, AllFolders: true}, nil
}

func (t *touched) listingIsCheaper() bool { return t.items > 10000 }

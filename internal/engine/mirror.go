package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"snapmerge/internal/stream"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

// mirrors lists the copies of online's snapshots that home has received: none
// where online is on this machine.
func (r *run) mirrors() ([]snapshot.Entry, error) {
	if !r.hosts.Mirrored {
		return nil, nil
	}
	list, err := snapshot.List(r.mb.Offline.Snapshots)
	var out []snapshot.Entry
	for _, e := range list {
		if e.Side == snapshot.Online {
			out = append(out, e)
		}
	}
	return out, err
}

func (r *run) pruneMirrors(names []string) error {
	if !r.hosts.Mirrored {
		return nil
	}
	var errs []error
	for _, name := range names {
		if err := snapshot.Delete(r.mb.Offline.Snapshots, name); err != nil && !errors.Is(err, snapshot.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// An arrival is what came of online's snapshot from another machine.
type arrival struct {
	track *stream.Tracker // has followed the changes; nil: all of it was received
	bytes int64           // of the stream
	note  string          // why all of it was, if it should not have been needed
	took  time.Duration
	err   error
}

// receive begins to make home's copy of online's new snapshot: from the changes
// since the last one if both sides still have that, else from all of it. Nothing
// else of the run is touched meanwhile, so that home can be looked at.
func (r *run) receive(ctx context.Context) <-chan arrival {
	out := make(chan arrival, 1)
	if !r.hosts.Mirrored {
		out <- arrival{}
		return out
	}
	out <- arrival{err: errors.New("not received")}
	return out
}

// arrived takes over what has come.
func (r *run) arrived(a arrival) error {
	if !r.hosts.Mirrored {
		return nil
	}
	if a.err != nil {
		return fmt.Errorf("%s: %w", merge.Online, a.err)
	}
	r.stages = append(r.stages, Stage{StageReceive, a.took})
	r.arrival, r.received = a, a.bytes
	if a.note != "" {
		r.notes = append(r.notes, a.note)
	}
	if a.track == nil && r.last.Sync > 0 {
		r.lost[merge.Online] = true // the copy's inode numbers are others
	}
	return nil
}

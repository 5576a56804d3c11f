package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"snapmerge/internal/mirror"
	"snapmerge/internal/stream"
	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
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

// dropParts deletes what killed runs have received in part. One that can not be
// deleted, as its receiver was taken over and put a subvolume into it, is left with
// a note; the result is its number, which must not be used again, or 0.
func (r *run) dropParts() (stuck int) {
	parts, err := snapshot.Leftovers(r.mb.Offline.Snapshots)
	for _, name := range parts {
		if e := snapshot.Discard(r.mb.Offline.Snapshots, name); e != nil {
			_, n, _ := snapshot.ParseName(name)
			stuck, err = max(stuck, n), errors.Join(err, e)
		}
	}
	if err != nil {
		r.notes = append(r.notes, err.Error())
	}
	return stuck
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
	parent, raised := "", r.last.Sync > 0 && r.limitRaised()
	if r.last.Sync > 0 && !r.lost[merge.Online] && !raised {
		parent = r.last.Snapshots[merge.Online]
	}
	go func() {
		begun := time.Now()
		a := r.receiveFrom(ctx, parent)
		if raised {
			a.note = "the limit on a message was raised: all of online was received anew, and nothing that is missing there counts as deleted"
		}
		if parent != "" && errors.Is(a.err, stream.ErrMismatch) {
			a = r.receiveFrom(ctx, "")
			a.note = fmt.Sprintf("online's changes do not fit what was received of sync %d: all of it was received anew, and nothing that is missing there counts as deleted", r.last.Sync)
		}
		a.took = time.Since(begun)
		out <- a
	}()
	return out
}

func (r *run) receiveFrom(ctx context.Context, parent string) (a arrival) {
	l := r.mb.Limits
	o := mirror.Options{
		Dir: r.mb.Offline.Snapshots, Name: r.meta.Snapshots[merge.Online], Parent: parent, Limits: stream.ReceiveLimits{Receive: l.Receive, Message: l.Message, Messages: l.Messages},
		Progress: func(n int64) {
			a.bytes = n
			r.opt.Progress(StageReceive, int(n), 0)
		},
	}
	a.err = o.UUID.UnmarshalText([]byte(r.meta.Stores[merge.Online].Snapshot))
	if a.err == nil && parent != "" {
		a.err = o.ParentUUID.UnmarshalText([]byte(r.last.Stores[merge.Online].Snapshot))
	}
	if a.err != nil {
		return a
	}
	in, err := r.hosts.Side[merge.Online].Send(ctx, o.Name, parent)
	if err != nil {
		a.err = err
		return a
	}
	res, err := mirror.Receive(ctx, o, in)
	a.track, a.err = res.Tracker, err
	if err == nil {
		a.bytes = res.Bytes
	}
	return a
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

// limitRaised tells whether mail that was refused for its size might now be let
// in: increments do not bring it again.
func (r *run) limitRaised() bool {
	if r.last.Limit >= r.mb.Limits.Message {
		return false
	}
	return r.last.RefusedMore[merge.Online] > 0 || slices.ContainsFunc(r.last.Refused[merge.Online], func(ref tree.Refused) bool {
		return strings.HasPrefix(ref.Why, "larger than") || strings.HasPrefix(ref.Why, "made from")
	})
}

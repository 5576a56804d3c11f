package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"snapmerge/snapshot"
	"snapmerge/tree"
)

// Diff returns the changes of a store between two snapshots of it on this host,
// base and now, handles of their root directories; known is what base holds. The
// kernel compares the two (BTRFS_IOC_SEND without the files' data): its cost goes
// with the metadata that changed. It needs CAP_SYS_ADMIN.
//
// When ctx is done, the kernel ends at the next command that it writes.
func Diff(ctx context.Context, base, now *os.File, known Base, l tree.Layout) (tree.Changes, Stats, error) {
	t, sent, err := track(ctx, base, now)
	if err != nil {
		return tree.Changes{}, Stats{}, fmt.Errorf("diff of %q and %q: %w", base.Name(), now.Name(), err)
	}
	c, stats, err := Changes(t, now, known, l)
	if err != nil {
		return tree.Changes{}, Stats{}, fmt.Errorf("diff of %q and %q: %w", base.Name(), now.Name(), err)
	}
	stats.Bytes, stats.Commands = sent.Bytes, sent.Commands
	return c, stats, nil
}

// track follows the stream from base to now while the kernel writes it. When it
// returns the kernel has ended.
func track(ctx context.Context, base, now *os.File) (*Tracker, Stats, error) {
	r, w, err := pipe()
	if err != nil {
		return nil, Stats{}, err
	}
	defer r.Close()
	stop := context.AfterFunc(ctx, func() { r.Close() })
	defer stop()
	sent := make(chan error, 1)
	go func() {
		err := snapshot.Send(now, base, snapshot.SendFlags{NoData: true}, w)
		w.Close() // before the send: the reader waits for the end
		sent <- err
	}()
	t := NewTracker(DefaultLimits)
	stats, err := t.follow(r)
	r.Close()
	sendErr := <-sent
	switch {
	case ctx.Err() != nil:
		return nil, stats, context.Cause(ctx)
	case sendErr != nil && !errors.Is(sendErr, unix.EPIPE):
		return nil, stats, sendErr // a half stream is only its consequence
	case err != nil:
		return nil, stats, err
	}
	return t, stats, sendErr
}

// follow applies all commands of a stream.
func (t *Tracker) follow(r io.Reader) (stats Stats, err error) {
	d := NewDecoder(r, t.limits)
	for {
		c, err := d.Next()
		stats.Bytes = d.Offset()
		if err == io.EOF {
			return stats, nil
		}
		if err == nil {
			err = t.Apply(c)
		}
		if err != nil {
			return stats, err
		}
		stats.Commands++
	}
}

// pipe returns a pipe whose reading end can be closed while it is read from (the
// runtime waits for it), and whose writing end blocks, as the kernel wants it.
// 1 MiB, which every kernel since 2.6.35 lets root have, saves switching to and fro.
func pipe() (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("pipe: %w", err)
	}
	err = unix.SetNonblock(fds[0], true)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, 1<<20)
	}
	r, w = os.NewFile(uintptr(fds[0]), "stream"), os.NewFile(uintptr(fds[1]), "stream")
	if err != nil {
		r.Close()
		w.Close()
		return nil, nil, fmt.Errorf("pipe: %w", err)
	}
	return r, w, nil
}

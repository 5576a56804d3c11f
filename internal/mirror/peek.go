package mirror

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"snapmerge/internal/stream"
)

// peeked is more than an increment without a change has.
const peeked = 512

// peek reads the beginning of an increment. If that is all of it, and nothing has
// changed in it, there is nothing to carry out: the result has its
// Tracker then, and no process needs to be started, which is half of what such a
// sync takes. The decoder is the one that reads what that process says: it is made
// for hostile bytes, and what it finds here is a first command and an end.
func peek(ctx context.Context, o Options, in io.ReadCloser) (begun []byte, res Result, ctransid uint64, err error) {
	if o.Parent == "" {
		return nil, res, 0, nil
	}
	stop := context.AfterFunc(ctx, func() { in.Close() })
	defer stop()
	begun, err = io.ReadAll(io.LimitReader(in, peeked))
	if ctx.Err() != nil {
		return nil, res, 0, context.Cause(ctx)
	}
	if err != nil {
		return nil, res, 0, fmt.Errorf("%w: %w", ErrInput, err)
	}
	if len(begun) == peeked {
		return begun, res, 0, nil
	}
	f := follower{o: o}
	if err := f.follow(bytes.NewReader(begun)); err != nil || f.commands > 0 {
		return begun, res, 0, nil // for the process to do, or to say what is wrong
	}
	if o.Progress != nil {
		o.Progress(int64(len(begun)))
	}
	return begun, Result{f.tracker, stream.ReceiveStats{Bytes: int64(len(begun)), Commands: 1}}, f.ctransid, nil
}

// Package mirror receives online's snapshots at home: each becomes a read-only
// subvolume, the mirror, that holds what online's snapshot held when it was sent.
//
// The stream comes from a host that is not trusted. A process of its own decodes
// it and writes the mirror, see [Child]: without capabilities, without a network,
// and able to open nothing but the new mirror and, for reading, its parent. This
// package is both ends of that, and does for it what needs root: making the
// subvolume, sealing it, and taking it away after any error.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"snapmerge/internal/stream"
	"snapmerge/snapshot"
)

// Errors of [Receive] that a caller tells apart with errors.Is, beside those of
// package snapshot for the directory and the names.
var (
	ErrInput    = errors.New("the stream broke off") // reading it failed, or it ended too early: try again
	ErrStream   = errors.New("the stream is wrong")  // no kernel sends such a one, or it is not the one that was asked for
	ErrMismatch = stream.ErrMismatch                 // the increment does not fit the parent mirror: a full stream helps
	ErrLimit    = stream.ErrLimit                    // a limit on a whole stream is exceeded
	ErrLocal    = stream.ErrLocal                    // no space, an I/O error
	ErrConfine  = errors.New("the receiving process can not be confined")
)

// Options tell [Receive] what it works on.
type Options struct {
	Dir        string        // home's directory of snapshots, on btrfs
	Name       string        // of the new mirror in Dir: "online.12"
	Parent     string        // of the mirror in Dir that the stream leads from; "": a full stream
	UUID       snapshot.UUID // of online's snapshot, as the agent told
	ParentUUID snapshot.UUID // of online's snapshot that Parent was received from; with Parent only
	Limits     stream.ReceiveLimits

	// Progress, if not nil, is called with the bytes read so far, from another
	// goroutine than Receive's.
	Progress func(bytes int64)
}

// A Result is what is known of a new mirror.
type Result struct {
	Tracker *stream.Tracker // has followed the increment, for [stream.Changes]; nil after a full stream
	stream.ReceiveStats
}

// Receive makes the mirror Dir/Name of the stream in, and closes in. When it
// returns without an error the mirror is whole, read-only and on disk, its name
// when Dir is next synced ([snapshot.Seal]); after an error there is nothing of it, and what a killed Receive has left under
// Name.part is gone too. Nobody else may receive that name meanwhile.
//
// Closing in must make a Read of it return, as it does with a pipe or a
// connection. When ctx is done, Receive kills the process, and ends.
//
// What the stream may do, and what is refused in it, is told at
// [stream.Receive].
func Receive(ctx context.Context, o Options, in io.ReadCloser) (Result, error) {
	once := &closeOnce{ReadCloser: in}
	defer once.Close()
	res, err := receive(ctx, o, once)
	if err != nil {
		return Result{}, fmt.Errorf("receive %q: %w", o.Name, err)
	}
	return res, nil
}

func receive(ctx context.Context, o Options, in io.ReadCloser) (Result, error) {
	if (o.UUID == snapshot.UUID{}) || (o.Parent != "") == (o.ParentUUID == snapshot.UUID{}) {
		return Result{}, errors.New("no UUID to expect")
	}
	if err := snapshot.Discard(o.Dir, o.Name); err != nil && !errors.Is(err, snapshot.ErrNotExist) {
		return Result{}, err
	}
	root, parent, err := begin(o)
	if err != nil {
		return Result{}, err
	}
	defer root.Close()
	if parent != nil {
		defer parent.Close()
	}
	res, ctransid, written, err := run(ctx, o, root, parent, in)
	if err == nil {
		err = snapshot.Seal(root, o.Dir, o.Name, o.UUID, ctransid, written)
	}
	if err != nil {
		return Result{}, errors.Join(err, undo(o))
	}
	return res, nil
}

// begin makes Name.part and opens what the child works on.
func begin(o Options) (root, parent *os.File, err error) {
	if o.Parent == "" {
		root, err = snapshot.Create(o.Dir, o.Name)
		return root, nil, err
	}
	if root, err = snapshot.Branch(o.Dir, o.Parent, o.Name); err != nil {
		return nil, nil, err
	}
	if parent, err = snapshot.Open(o.Dir, o.Parent); err != nil {
		root.Close()
		return nil, nil, errors.Join(err, undo(o))
	}
	return root, parent, nil
}

// undo takes the mirror away. If there is no .part any more, it has its name, and
// sealing it has failed.
func undo(o Options) error {
	err := snapshot.Discard(o.Dir, o.Name)
	if errors.Is(err, snapshot.ErrNotExist) {
		err = snapshot.Delete(o.Dir, o.Name)
	}
	return err
}

// closeOnce keeps a second Close from a stream.
type closeOnce struct {
	io.ReadCloser
	once sync.Once
}

// Close closes the stream the first time.
func (c *closeOnce) Close() (err error) {
	c.once.Do(func() { err = c.ReadCloser.Close() })
	return err
}

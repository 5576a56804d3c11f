package apply

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// A runner is one [Store.Run].
type runner struct {
	*holds
	ctx   context.Context
	ops   []Op
	quota bool // maildirsize has been removed
}

// Run carries out the operations in their order and calls done after each, with
// its index. done is called with folders locked: it must not wait for anything.
//
// A folder that stays locked by somebody else for [Store.LockTimeout] makes its
// operations Raced; that is waited for once. The error tells what makes going on
// pointless: ENOSPC, EDQUOT, EROFS, EIO (after done with the Failed result), or
// that ctx ended (the operations after it are not begun).
func (s *Store) Run(ctx context.Context, ops []Op, done func(i int, r Result)) (err error) {
	// One thread: fault injection by system call number, and btrfs's order,
	// both count per thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r := &runner{
		holds: &holds{store: s, folders: map[string]*folder{}, stuck: map[string]bool{}},
		ctx:   ctx, ops: ops,
	}
	defer func() { err = errors.Join(err, r.finish()) }()
	for i := range ops {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("apply: %w", err)
		}
		res, err := r.one(i)
		if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return fmt.Errorf("apply: %w", err)
		}
		res = outcome(res, &ops[i], err)
		done(i, res)
		if hopeless(res.Err) {
			return fmt.Errorf("apply: %w", res.Err)
		}
	}
	return nil
}

func (r *runner) one(i int) (Result, error) {
	op := &r.ops[i]
	switch op.Kind {
	case MakeFolder, RenameFolder, RemoveFolder, Subscribe:
		// Handles and lists of directories that change are worth nothing.
		if err := r.releaseAll(); err != nil {
			return Result{}, err
		}
	}
	switch op.Kind {
	case MakeFolder:
		return r.store.makeFolder(op)
	case RenameFolder:
		return r.store.renameFolder(op)
	case RemoveFolder:
		return r.removeFolder(op)
	case Subscribe:
		return Result{}, r.store.subscribe(r.ctx, op)
	case Place:
		return r.place(i)
	case Copy:
		return r.copy(i)
	case Rename:
		return r.rename(i)
	case Unlink:
		return r.unlink(op)
	}
	return Result{}, errors.New("unknown kind")
}

// finish unlocks what is still locked, and drops the quota file once more.
func (r *runner) finish() error {
	err := r.releaseAll()
	if r.quota {
		err = errors.Join(err, r.dropQuota())
	}
	return err
}

// resized is called before mail comes or goes. The quota backend "maildir" counts
// in maildirsize what goes through Dovecot; where that is missing it counts all
// anew (quota-maildir.c:maildirsize_recalculate). It is removed before the first
// such change, so that a crash leaves no wrong sum, and after the last, since
// Dovecot may have made it again in between.
func (r *runner) resized() error {
	if r.quota {
		return nil
	}
	r.quota = true
	return r.dropQuota()
}

func (r *runner) dropQuota() error {
	dir := r.store.root
	if r.store.control != nil {
		dir = r.store.control // MAILBOX_LIST_PATH_TYPE_CONTROL, quota-maildir.c
	}
	err := remove(dir, "maildirsize", 0)
	if errors.Is(err, unix.EISDIR) {
		return nil // no quota file
	}
	return err
}

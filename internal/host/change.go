package host

import (
	"context"
	"fmt"

	"snapmerge/internal/apply"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// Apply implements [Host].
func (l *Local) Apply(ctx context.Context, b Batch, done func(i int, r apply.Result)) error {
	return l.ApplyOps(ctx, b, func(i int, _ apply.Op, r apply.Result) { done(i, r) })
}

// ApplyOps is Apply for who wants to know the operation, too, as it was carried
// out: the inode number of a step's file comes from the snapshot.
func (l *Local) ApplyOps(ctx context.Context, b Batch, done func(i int, op apply.Op, r apply.Result)) error {
	if err := l.openLive(); err != nil {
		return err
	}
	if err := l.live.Unlock(ctx, folders(b.Unlock)); err != nil {
		return err
	}
	if err := l.run(ctx, b, done); err != nil {
		return err
	}
	if b.Sync {
		return l.live.Sync()
	}
	return nil
}

func (l *Local) openLive() (err error) {
	if l.live == nil {
		l.live, err = apply.Open(l.store.Path, l.store.Control, l.store.Layout)
	}
	return err
}

func folders(names []string) (out []tree.Folder) {
	for _, name := range names {
		out = append(out, tree.Folder{Name: name})
	}
	return out
}

// run carries the steps out. One whose file the snapshot does not show is raced,
// and the others are given to the store in one list.
func (l *Local) run(ctx context.Context, b Batch, done func(i int, op apply.Op, r apply.Result)) error {
	if len(b.Steps) == 0 {
		return nil
	}
	lookup, err := l.newLookup(b)
	if err != nil {
		return err
	}
	defer lookup.close()
	ops, index, gone := make([]apply.Op, 0, len(b.Steps)), make([]int, 0, len(b.Steps)), []int(nil)
	for i, s := range b.Steps {
		op, ok, err := lookup.op(s)
		if err != nil {
			return err
		}
		if !ok {
			gone = append(gone, i)
			continue
		}
		ops, index = append(ops, op), append(index, i)
	}
	raced := func(before int) {
		for ; len(gone) > 0 && gone[0] < before; gone = gone[1:] {
			done(gone[0], b.Steps[gone[0]].Op, apply.Result{Outcome: apply.Raced, Why: "the snapshot does not show it"})
		}
	}
	err = l.live.Run(ctx, ops, func(k int, r apply.Result) {
		raced(index[k])
		done(index[k], ops[k], r)
	})
	if err == nil {
		raced(len(b.Steps))
	}
	return err
}

// A lookup finds the inodes of files in a snapshot.
type lookup struct {
	reader *tree.Reader
	close  func()
}

func (l *Local) newLookup(b Batch) (*lookup, error) {
	for _, s := range b.Steps {
		if s.Seen == nil {
			continue
		}
		if err := l.checkName(b.Snapshot); err != nil {
			return nil, err
		}
		root, err := openSnapshot(l.store.Snapshots, b.Snapshot)
		if err != nil {
			return nil, err
		}
		r, err := tree.NewReader(root, l.store.Layout)
		if err != nil {
			root.Close()
			return nil, err
		}
		return &lookup{r, func() { r.Close(); root.Close() }}, nil
	}
	return &lookup{nil, func() {}}, nil
}

// op completes a step's operation; ok is false if its file was not there.
func (k *lookup) op(s Step) (op apply.Op, ok bool, err error) {
	op = s.Op
	if s.Seen == nil {
		return op, true, nil
	}
	switch op.Kind {
	case apply.RenameFolder, apply.RemoveFolder:
		f, _, err := k.reader.Folder(s.Seen.Folder)
		op.From.Ino = f.Ino // 0, not checked, if the sync itself has made it
		return op, true, err
	}
	f, links, err := k.reader.File(s.Seen.Folder, s.Seen.New, s.Seen.Name)
	if err != nil || links == 0 {
		return op, false, err
	}
	op.From.New, op.From.Name, op.From.Ino = f.New, f.Name, f.Ino
	if !s.AnyLinks {
		op.Links = uint64(max(1, int64(links)+s.OwnLinks))
		// Names that the sync itself was to make do not count: between folders of
		// different modes a copy is a file of its own.
		op.NotLast = int64(links)+min(0, s.OwnLinks) > 1
	}
	return op, true, nil
}

// checkName refuses what is no name of a snapshot of this side.
func (l *Local) checkName(name string) error {
	if side, _, ok := snapshot.ParseName(name); !ok || side != l.side {
		return fmt.Errorf("%q is no name of a snapshot of this side", name)
	}
	return nil
}

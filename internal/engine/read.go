package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"snapmerge/internal/stream"
	"snapmerge/merge"
	"snapmerge/tree"
)

// read finds out what has changed on both sides since their base snapshots: home
// first, as online's is on its way meanwhile.
func (r *run) read(ctx context.Context) error {
	if err := r.readSide(ctx, merge.Offline); err != nil {
		return err
	}
	a := <-r.arriving
	r.arriving = nil
	err := r.arrived(a)
	if err == nil {
		err = r.open(merge.Online)
	}
	if err == nil {
		err = r.readSide(ctx, merge.Online)
	}
	if err != nil {
		return err
	}
	return r.answered()
}

func (r *run) readSide(ctx context.Context, side merge.Side) error {
	end := r.stage(StageScan + " " + side.String())
	c, err := r.changes(ctx, side)
	r.refuseNested(side)
	if err == nil {
		r.now[side], err = newNow(r.base[side], c)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", side, err)
	}
	end()
	return nil
}

// refuseNested refuses what a snapshot does not hold although the store has it:
// other subvolumes, of which home's copy does not even have the directories, and
// what is mounted there. Not to be seen is not to be deleted, see [run.unreadable].
func (r *run) refuseNested(side merge.Side) {
	for _, p := range r.nested[side].Nested {
		if !slices.ContainsFunc(r.refused[side], func(ref tree.Refused) bool { return ref.Path == p }) {
			r.refused[side] = append(r.refused[side], tree.Refused{Path: p, Why: tree.Elsewhere})
		}
		if side == merge.Offline { // online's wait as conflicts
			r.notes = append(r.notes, fmt.Sprintf("home: %q is %s: its mail is not synced", p, tree.Elsewhere))
		}
	}
	r.refusedMore[side] += r.nested[side].NestedMore
	if r.refusedMore[side] > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%s: too much of the store can not be read: nothing that is missing there counts as deleted", side))
	}
	slices.SortFunc(r.refused[side], func(a, b tree.Refused) int { return strings.Compare(a.Path, b.Path) })
}

// changes compares a side with its base. Where that is not possible by what the
// kernel knows, the snapshot is walked.
func (r *run) changes(ctx context.Context, side merge.Side) (tree.Changes, error) {
	switch {
	case r.last.Sync == 0:
		t, err := r.scan(side)
		if err != nil {
			return tree.Changes{}, err
		}
		return tree.Diff(&tree.Tree{}, t), nil
	case r.lost[side]:
		t, err := r.scan(side)
		if err != nil {
			return tree.Changes{}, err
		}
		return replaced(r.base[side].tree(), t), nil
	case r.last.RefusedMore[side] > 0: // the list of what was refused is not complete
		return r.walk(side)
	}
	c, err := r.diff(ctx, side)
	if err != nil && ctx.Err() == nil {
		r.notes = append(r.notes, fmt.Sprintf("%s: every mail was looked at, as the kernel's own comparison went wrong: %v", side, err))
		return r.walk(side)
	}
	return c, err
}

func (r *run) walk(side merge.Side) (tree.Changes, error) {
	t, err := r.scan(side)
	if err != nil {
		return tree.Changes{}, err
	}
	return tree.Diff(r.base[side].tree(), t), nil
}

func (r *run) scan(side merge.Side) (*tree.Tree, error) {
	t, err := stream.Scan(r.frozen[side].root, r.frozen[side].layout)
	if err != nil {
		return nil, err
	}
	r.refused[side], r.refusedMore[side], t.Refused = t.Refused, t.RefusedMore, nil
	return t, nil
}

// replaced are the changes to a tree of which nothing stays: in a store that is
// another one, equal names and numbers say nothing.
func replaced(base, now *tree.Tree) tree.Changes {
	c := tree.Changes{AddedFolders: now.Folders, Removed: base.Files, Added: now.Files}
	for _, f := range base.Folders {
		c.RemovedFolders = append(c.RemovedFolders, f.Name)
	}
	return c
}

func (r *run) diff(ctx context.Context, side merge.Side) (tree.Changes, error) {
	c, stats, err := r.kernelDiff(ctx, side)
	if err != nil {
		return tree.Changes{}, err
	}
	r.refused[side], err = r.stillRefused(side, c, stats.Refused)
	r.refusedMore[side] = stats.RefusedMore
	return c, err
}

// kernelDiff has the kernel compare two snapshots of this machine; of another
// machine's its own kernel has done so, and what it sent has been followed.
func (r *run) kernelDiff(ctx context.Context, side merge.Side) (tree.Changes, stream.Stats, error) {
	z := r.frozen[side]
	if side == merge.Online && r.hosts.Mirrored {
		return stream.Changes(r.arrival.track, z.root, r.base[side], z.layout)
	}
	before, err := r.openOld(r.readable(side), r.last.Snapshots[side])
	if err != nil {
		return tree.Changes{}, stream.Stats{}, err
	}
	return stream.Best(ctx, before.root, z.root, r.base[side], z.layout)
}

// stillRefused adds to what a comparison has met that can not be mail what was
// there before and still is: it looks at changes only.
func (r *run) stillRefused(side merge.Side, c tree.Changes, met []tree.Refused) ([]tree.Refused, error) {
	reader, err := tree.NewReader(r.frozen[side].root, r.frozen[side].layout)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	out := slices.Clone(met)
	known := map[string]bool{}
	for _, ref := range met {
		known[ref.Path] = true
	}
	for _, ref := range r.last.Refused[side] {
		ref.Path = r.movedTo(side, c, ref.Path)
		still, err := reader.StillRefused(ref)
		if err != nil {
			return nil, err
		}
		if still && !known[ref.Path] {
			out = append(out, ref)
		}
	}
	slices.SortFunc(out, func(a, b tree.Refused) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// movedTo returns where a path is after the renaming of folders.
func (r *run) movedTo(side merge.Side, c tree.Changes, path string) string {
	layout := r.frozen[side].layout
	for _, f := range c.RenamedFolders {
		from, err := layout.Dir(f.From)
		to, err2 := layout.Dir(f.To)
		if err != nil || err2 != nil {
			continue
		}
		if rest, ok := strings.CutPrefix(path, from+"/"); ok && (strings.HasPrefix(rest, "cur") || strings.HasPrefix(rest, "new")) {
			return filepath.Join(to, rest)
		}
	}
	return path
}

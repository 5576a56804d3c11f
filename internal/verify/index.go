package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"snapmerge/internal/codec"
	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// checkIndex compares the index with what it would be if it were made anew.
func (v *verifier) checkIndex(context.Context) error {
	if v.rec == nil {
		return nil // nothing was synced, so there is nothing that it has to say
	}
	want, err := v.rebuilt()
	if err != nil {
		return err
	}
	path := engine.IndexPath(v.stateDir, v.mb.Name)
	if err := v.compareIndex(path, want); err != nil {
		return err
	}
	if !v.opt.Rebuild {
		return nil
	}
	if want == nil {
		v.note("the index was not made anew: that takes both base snapshots and the newest record")
		return nil
	}
	if err := engine.NewIndex(v.stateDir, v.mb.Name, want); err != nil {
		return err
	}
	v.Rebuilt = true
	return nil
}

// rebuilt is what the index should say, nil if that can not be known.
func (v *verifier) rebuilt() (*state.State, error) {
	if v.base[merge.Online] == nil || v.base[merge.Offline] == nil {
		return nil, nil
	}
	v.checkPending()
	return state.Rebuild(v.base, v.rec)
}

// checkPending compares the record with the snapshots of its sync.
func (v *verifier) checkPending() {
	name := fmt.Sprintf("sync.%d.json", v.rec.Sync)
	for _, p := range v.rec.Pending.Pairs {
		f := tree.File{Folder: p.Folder, New: p.New, Name: p.Name}
		i, ok := slices.BinarySearchFunc(v.base[p.Side].Files, f, tree.File.Compare)
		if !ok || v.base[p.Side].Files[i].Ino != p.Ino {
			v.found("record-pairs", name, "%s: %q in %q is %q, but it is not there", p.Side, p.Name, p.Folder, p.Message)
		}
	}
	inos := map[uint64]bool{}
	for _, f := range v.base[merge.Offline].Files {
		inos[f.Ino] = true
	}
	for _, o := range v.rec.Pending.Own {
		if o.Side == merge.Offline && inos[o.File.Ino] {
			v.found("record-own", name, "%q, inode %d", o.File.Name, o.File.Ino)
		}
	}
}

// compareIndex reads the index and nothing else: what is half done in it stays so.
func (v *verifier) compareIndex(path string, want *state.State) error {
	x, err := state.OpenReadOnly(path)
	if errors.Is(err, fs.ErrNotExist) {
		v.found("index-missing", path, "sync %d has written one", v.rec.Sync)
		return nil
	}
	if err != nil {
		v.found("index-damaged", path, "%v", err)
		return nil
	}
	defer x.Close()
	have, err := v.readIndex(x, path)
	if err != nil {
		v.found("index-damaged", path, "%v", err)
		return nil
	}
	if have == nil {
		return nil
	}
	if have.Meta != v.rec.Meta {
		v.found("index-behind", path, "it is of sync %d, the newest record of sync %d", have.Sync, v.rec.Sync)
		return nil // all else would differ
	}
	if a, b := encoded(have.Pending), encoded(v.rec.Pending); !bytes.Equal(a, b) {
		v.found("index-pending", path, "%s", firstDifference(a, b))
	}
	if want == nil {
		return nil
	}
	for _, side := range merge.Sides {
		v.compareFolders(side, path, have.Trees[side].Folders, want.Trees[side].Folders)
		v.compareFiles(side, path, have, want)
	}
	return v.compareCounts(x, path, have)
}

func (v *verifier) readIndex(x *state.Index, path string) (*state.State, error) {
	lines, err := x.Damage()
	if err != nil {
		return nil, err
	}
	for _, l := range lines {
		v.found("index-damaged", path, "%s", l)
	}
	if len(lines) > 0 {
		return nil, nil
	}
	return x.Load()
}

func encoded(p state.Pending) []byte {
	data, err := codec.Encode(p)
	if err != nil {
		return []byte(err.Error())
	}
	return data
}

func firstDifference(a, b []byte) string {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	from := max(0, n-40)
	return fmt.Sprintf("index %q, record %q", a[from:min(len(a), n+40)], b[from:min(len(b), n+40)])
}

func (v *verifier) compareFolders(side merge.Side, path string, have, want []tree.Folder) {
	byName := map[string]tree.Folder{}
	for _, f := range have {
		byName[f.Name] = f
	}
	for _, f := range want {
		if got, ok := byName[f.Name]; !ok {
			v.found("index-folder", path, "%s: folder %q is missing", side, f.Name)
		} else if got != f {
			v.found("index-folder", path, "%s: folder %q has another inode or other keywords", side, f.Name)
		}
		delete(byName, f.Name)
	}
	for name := range byName {
		v.found("index-folder", path, "%s: there is no folder %q", side, name)
	}
}

// compareFiles goes through two sorted lists side by side. A ctime is that of the
// sync in which the file was last seen to change, so it is not compared.
func (v *verifier) compareFiles(side merge.Side, path string, have, want *state.State) {
	a, am := have.Trees[side].Files, have.Messages[side]
	b, bm := want.Trees[side].Files, want.Messages[side]
	tell := func(c Code, f tree.File, format string, args ...any) {
		v.found(c, path, "%s: %q in %q: "+format, append([]any{side, f.Name, f.Folder}, args...)...)
	}
	for i, j := 0, 0; i < len(a) || j < len(b); {
		order := 0
		switch {
		case i == len(a):
			order = 1
		case j == len(b):
			order = -1
		default:
			order = a[i].Compare(b[j])
		}
		switch {
		case order < 0:
			tell("index-extra", a[i], "not in the snapshot")
			i++
		case order > 0:
			tell("index-lacks", b[j], "not in the index")
			j++
		default:
			x, y := a[i], b[j]
			if x.Ctime = y.Ctime; x != y {
				tell("index-differs", y, "inode %d, %d bytes, date %d; snapshot: %d, %d, %d", x.Ino, x.Size, x.Mtime, y.Ino, y.Size, y.Mtime)
			} else if am[i] != bm[j] {
				tell("index-message", y, "message %q, by the record %q", am[i], bm[j])
			}
			i, j = i+1, j+1
		}
	}
}

func (v *verifier) compareCounts(x *state.Index, path string, have *state.State) error {
	counts, err := x.Messages()
	if err != nil {
		v.found("index-damaged", path, "%v", err)
		return nil
	}
	for _, side := range merge.Sides {
		seen := map[string]bool{}
		for _, m := range have.Messages[side] {
			seen[m] = true
		}
		if counts[side] != len(seen) {
			v.found("index-count", path, "%s: it counts %d and has %d", side, counts[side], len(seen))
		}
	}
	return nil
}

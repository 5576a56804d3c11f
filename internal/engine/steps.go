package engine

import (
	"fmt"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// A step is one change of a store, of a folder or of one file, from plan to
// result. Several files of a message in one folder make several steps of one action.
type step struct {
	side   merge.Side
	folder *merge.FolderAction
	action *merge.Action
	before *tree.File // as the snapshot shows it, under the folder's planned name
	after  *tree.File
	op     apply.Op
	seen   *tree.File        // what the operation is about as the snapshot shows it; nil: nothing there
	again  bool              // another name of a file that an earlier step of the action moves or removes
	own    int64             // names that earlier steps give the file, or take from it
	result *state.StepResult // nil: not done (yet)
}

// steps turns a plan into operations on files, in the order in which they are
// carried out: offline before online, and there new folders before mail, mail before what is
// left empty.
func (r *run) steps() ([]*step, error) {
	var out []*step
	for _, side := range []merge.Side{merge.Offline, merge.Online} {
		for _, f := range r.plan.Folders {
			if f.Side == side && f.Op != merge.RemoveFolder {
				out = append(out, r.folderStep(f))
			}
		}
		for _, a := range r.plan.Actions {
			if a.Side != side {
				continue
			}
			s, err := r.actionSteps(a)
			if err != nil {
				return nil, fmt.Errorf("%s: %s %q: %w", side, a.Op, a.Message, err)
			}
			out = append(out, s...)
		}
		for _, f := range r.plan.Folders {
			if f.Side == side && f.Op == merge.RemoveFolder {
				out = append(out, r.folderStep(f))
			}
		}
	}
	expectOwnLinks(out)
	return out, nil
}

// step is what the host of its side is asked for.
func (s *step) step() host.Step {
	return host.Step{Op: s.op, Seen: s.seen, OwnLinks: s.own, AnyLinks: s.again}
}

// expectOwnLinks counts the names that earlier steps give the same file, or take
// from it: else they would be taken for a client's COPY or EXPUNGE.
func expectOwnLinks(steps []*step) {
	type inode struct {
		side merge.Side
		ino  uint64
	}
	made := map[inode]int64{}
	for _, s := range steps {
		at := inode{s.side, s.op.From.Ino}
		s.own = made[at]
		switch s.op.Kind {
		case apply.Copy:
			made[at]++
		case apply.Unlink:
			made[at]--
		}
	}
}

func (r *run) folderStep(f merge.FolderAction) *step {
	s := &step{side: f.Side, folder: &f}
	switch f.Op {
	case merge.MakeFolder:
		s.op = apply.Op{Kind: apply.MakeFolder, Folder: f.To}
	case merge.RenameFolder:
		s.op = apply.Op{Kind: apply.RenameFolder, Folder: f.From, NewFolder: f.To}
	case merge.RemoveFolder:
		s.op = apply.Op{Kind: apply.RemoveFolder, Folder: f.From}
	}
	if f.Op != merge.MakeFolder {
		s.seen = &tree.File{Folder: r.nowName(f.Side, f.From)}
	}
	return s
}

// actionSteps turns an action into one operation a file.
func (r *run) actionSteps(a merge.Action) ([]*step, error) {
	switch a.Op {
	case merge.Place:
		s, err := r.placeStep(a)
		return []*step{s}, err
	case merge.Copy:
		s, err := r.copyStep(a)
		return []*step{s}, err
	}
	var out []*step
	seen := map[uint64]bool{}
	also := a.Also
	a.Also = nil
	for _, from := range append([]string{a.From}, also...) {
		a.From = from // each file's step says where that file is
		for _, f := range r.now[a.Side].in(a.Message, r.nowName(a.Side, from)) {
			again := seen[f.Ino]
			seen[f.Ino] = true
			if again && a.From == a.To {
				continue // a second name of the file: Dovecot clears that up itself
			}
			s, err := r.fileStep(a, f, again)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no file in folder %q", a.From)
	}
	return out, nil
}

// fileStep renames or removes one file. again: the file has another name in the
// folder or in another one of its archive family, which an earlier step moves (the snapshot caught a client's MOVE
// half-way); then this one goes.
func (r *run) fileStep(a merge.Action, f tree.File, again bool) (*step, error) {
	s := &step{side: a.Side, action: &a, op: apply.Op{Kind: apply.Unlink, From: f}, seen: &f, again: again}
	s.op.From.Folder = a.From
	s.before = &s.op.From
	// The name that an earlier step has given the file can be gone meanwhile: a
	// client that moves it onto this one leaves this as the last.
	s.op.NotLast = again && a.To != ""
	if again || a.To == "" {
		return s, nil
	}
	name, err := tree.ParseName(f.Name)
	if err != nil {
		return nil, err
	}
	s.op.Kind = apply.Rename
	s.op.To = target(a, name.Unique)
	if a.From != a.To {
		s.op.To.Unique = r.freeName(a, name.Unique)
	} else {
		s.op.To.Extra = name.Extra
		s.op.To.Letters = r.unnamed(a.Side, f, name)
	}
	s.after = planned(s.op.To)
	return s, nil
}

// placeStep makes a new file at home from a snapshot.
func (r *run) placeStep(a merge.Action) (*step, error) {
	src, err := r.source(a.Message)
	if err != nil {
		return nil, err
	}
	unique, err := safeUnique(src)
	if err != nil {
		return nil, err
	}
	s := &step{side: a.Side, action: &a, op: apply.Op{
		Kind: apply.Place, To: target(a, r.freeName(a, unique)), Size: src.file.Size, Mtime: src.file.Mtime,
		Source: src.open,
	}}
	s.after = planned(s.op.To)
	s.after.Size, s.after.Mtime = src.file.Size, src.file.Mtime
	return s, nil
}

// copyStep gives a message another place on a side that has it. Where it comes
// home only now, the copy is of the file that was placed first; see [run.aim].
func (r *run) copyStep(a merge.Action) (*step, error) {
	s := &step{side: a.Side, action: &a, op: apply.Op{Kind: apply.Copy}}
	unique := ""
	if fs := r.now[a.Side].all(a.Message); len(fs) > 0 {
		f := fs[0]
		s.op.From = f
		s.op.From.Folder = r.newName(a.Side, f.Folder)
		s.before, s.seen = &s.op.From, &f
		name, err := tree.ParseName(f.Name)
		if err != nil {
			return nil, err
		}
		unique = name.Unique
	} else {
		src, err := r.source(a.Message)
		if err != nil {
			return nil, err
		}
		if unique, err = safeUnique(src); err != nil {
			return nil, err
		}
	}
	s.op.To = target(a, r.freeName(a, unique))
	s.after = planned(s.op.To)
	return s, nil
}

func target(a merge.Action, unique string) apply.Target {
	return apply.Target{Folder: a.To, Unique: unique, Flags: a.Flags, Keywords: a.Keywords}
}

// planned is the file that an operation is to make, as far as it is known
// before: keywords get their letters when the folder is locked.
func planned(t apply.Target) *tree.File {
	return &tree.File{Folder: t.Folder, Name: tree.Name{Unique: t.Unique, Flags: t.Flags, Extra: t.Extra}.String()}
}

// unnamed returns the letters of a file that mean nothing known.
func (r *run) unnamed(side merge.Side, f tree.File, n tree.Name) tree.Letters {
	folder := r.now[side].folder(f.Folder)
	if folder == nil {
		return 0
	}
	_, unnamed := folder.Keywords.Names(n.Letters)
	return unnamed
}

// nowName returns a folder's name in the snapshot, newName its name after the
// planned renaming of folders.
func (r *run) nowName(side merge.Side, folder string) string {
	for _, f := range r.plan.Folders {
		if f.Side == side && f.Op == merge.RenameFolder && f.To == folder {
			return f.From
		}
	}
	return folder
}

func (r *run) newName(side merge.Side, folder string) string {
	for _, f := range r.plan.Folders {
		if f.Side == side && f.Op == merge.RenameFolder && f.From == folder {
			return f.To
		}
	}
	return folder
}

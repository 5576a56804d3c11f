package remote

import (
	"errors"
	"fmt"
	"math/bits"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// checkInfo refuses facts of a subvolume that the engine could stumble over.
func checkInfo(i snapshot.Info) error {
	if i.UUID == (snapshot.UUID{}) {
		return errors.New("a subvolume without UUID")
	}
	return checkTime(i.Otime)
}

// checkTime keeps times to what has nanoseconds since the epoch.
func checkTime(t time.Time) error {
	if t.Year() < 1970 || t.Year() > 2261 {
		return fmt.Errorf("time %v", t)
	}
	return nil
}

// checkFrozen: the snapshot must be one, and of the store.
func checkFrozen(f *host.Frozen) error {
	if f == nil {
		return errors.New("no snapshot")
	}
	s := f.Snapshot
	if err := errors.Join(checkInfo(f.Live), checkInfo(s), checkTime(f.Begun), checkTime(f.Done)); err != nil {
		return err
	}
	for _, p := range f.Nested {
		if len(p) > maxNested || !filepath.IsLocal(p) || p != filepath.Clean(p) || strings.ContainsRune(p, 0) {
			return fmt.Errorf("a subvolume at %.200q in the store", p)
		}
	}
	switch {
	case f.NestedMore < 0 || f.NestedMore > 1<<20:
		return fmt.Errorf("%d subvolumes more", f.NestedMore)
	case !s.ReadOnly || s.ParentUUID != f.Live.UUID || s.UUID == f.Live.UUID:
		return errors.New("no snapshot of the store")
	case f.Done.Before(f.Begun):
		return errors.New("done before it was begun")
	}
	return nil
}

// looking collects the answer of a look.
type looking struct {
	host      string
	snapshots []snapshot.Entry
	problems  []host.Problem
}

// add takes an item.
func (l *looking) add(f frame) error {
	if f.kind == kindProblem {
		p, err := decode[host.Problem](f, kindProblem)
		if err != nil {
			return err
		}
		if len(l.problems) == maxProblems {
			return fmt.Errorf("more than %d problems", maxProblems)
		}
		// Advice is a command to type, so it says where: whoever holds the far
		// end must not have it typed at home.
		p.Subject, p.Text = text(l.host+": "+p.Subject), text(p.Text)
		if p.Mend != "" {
			p.Mend = text("on " + l.host + ": " + p.Mend)
		}
		l.problems = append(l.problems, p)
		return nil
	}
	s, err := decode[snapshot.Entry](f, kindSnapshot)
	if err != nil {
		return err
	}
	side, sync, ok := snapshot.ParseName(s.Name)
	switch n := len(l.snapshots); {
	case !ok || side != snapshot.Online || s.Side != side || s.Sync != sync:
		return fmt.Errorf("%q is no online snapshot", text(s.Name))
	case n > 0 && l.snapshots[n-1].Sync >= sync:
		return errors.New("snapshots out of order")
	case n == maxSnapshots:
		return fmt.Errorf("more than %d snapshots", maxSnapshots)
	}
	l.snapshots = append(l.snapshots, s)
	return checkInfo(s.Info)
}

// facts puts the answer together.
func (l *looking) facts(f *host.Facts, version string) (*host.Facts, error) {
	switch {
	case f == nil:
		return nil, errors.New("no facts")
	case len(f.Snapshots) > 0 || len(f.Problems) > 0:
		return nil, errors.New("lists in the end frame")
	case f.Mails < 0 || f.Folders < 0 || f.Bytes < 0:
		return nil, errors.New("negative counts")
	}
	if len(l.problems) == 0 {
		if err := checkInfo(f.Live); err != nil {
			return nil, err
		}
	}
	f.Version, f.Snapshots, f.Problems = version, l.snapshots, l.problems
	return f, nil
}

// results are the answers to the steps of one request.
type results struct {
	steps []host.Step
	next  int // the lowest index that the next one may have
	count int
}

// add checks the result of one step.
func (r *results) add(f frame) (i int, res apply.Result, err error) {
	w, err := decode[result](f, kindResult)
	if err != nil {
		return 0, res, err
	}
	if w.Index < r.next || w.Index >= len(r.steps) {
		return 0, res, fmt.Errorf("result of step %d, where %d to %d are due", w.Index, r.next, len(r.steps)-1)
	}
	r.next = w.Index + 1
	r.count++
	res, err = checkResult(r.steps[w.Index], w)
	if err != nil {
		err = fmt.Errorf("result of step %d: %w", w.Index, err)
	}
	return w.Index, res, err
}

// checkResult returns the result of a step, of which only the outcome, the
// letters in the file's name and the missing keywords are the agent's word. Inode
// numbers are those of home's copy of the snapshot, as in the step; 0 where the
// file is another one now.
func checkResult(s host.Step, w result) (apply.Result, error) {
	switch w.Outcome {
	case apply.Done:
	case apply.Raced:
		return apply.Result{Outcome: apply.Raced, Why: text(w.Why)}, nil
	case apply.Failed:
		return apply.Result{Outcome: apply.Failed, Err: errors.New(text(w.Err))}, nil
	default:
		return apply.Result{}, fmt.Errorf("outcome %d", int(w.Outcome))
	}
	var ino uint64
	if w.Same {
		ino = s.Op.From.Ino
	}
	switch s.Op.Kind {
	case apply.MakeFolder:
		return apply.Result{File: tree.File{Folder: s.Op.Folder}}, nil
	case apply.RenameFolder:
		return apply.Result{File: tree.File{Folder: s.Op.NewFolder, Ino: ino}}, nil
	case apply.Copy, apply.Rename, apply.Place:
		if err := checkMade(s.Op.To, w); err != nil {
			return apply.Result{}, err
		}
		f := s.Op.From
		if s.Op.Kind == apply.Place {
			f, ino = tree.File{Size: s.Op.Size, Mtime: s.Op.Mtime}, 0
		}
		return apply.Result{Missing: w.Missing, File: tree.File{
			Folder: s.Op.To.Folder, Name: w.Name, Ino: ino, Size: f.Size, Mtime: f.Mtime,
		}}, nil
	}
	return apply.Result{}, nil
}

// checkMade: a file's new name must be the one that was asked for, but for the
// keywords' letters, which the agent finds: one for each keyword at most.
func checkMade(to apply.Target, w result) error {
	n, err := tree.ParseName(w.Name)
	if err != nil {
		return errors.New(text(err.Error()))
	}
	want := tree.Name{Unique: to.Unique, Flags: to.Flags, Letters: n.Letters, Extra: to.Extra}
	if n != want || n.String() != w.Name || n.Letters&to.Letters != to.Letters {
		return fmt.Errorf("the file is %q now, and not %q", text(w.Name), want.String())
	}
	for i, name := range w.Missing {
		if !slices.Contains(to.Keywords, name) || slices.Contains(w.Missing[:i], name) {
			return fmt.Errorf("keyword %q is missing, which was not asked for", text(name))
		}
	}
	if bits.OnesCount32(uint32(n.Letters&^to.Letters)) > len(to.Keywords)-len(w.Missing) {
		return fmt.Errorf("%q has more letters than keywords", text(w.Name))
	}
	return nil
}

package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"snapmerge/internal/stream"
	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// checkHome looks at home as it is now, in a snapshot of its own: not even the
// time at which somebody last read a directory is changed. It has the
// number of a sync to come: if this run is killed, the next sync takes it for
// the leftover that it is.
func (v *verifier) checkHome(ctx context.Context) (err error) {
	v.checkStores()
	n := v.last()
	for _, side := range merge.Sides {
		for _, e := range v.shelves[side] {
			n = max(n, e.Sync)
		}
		for _, e := range v.hosts.Facts[side].Snapshots {
			n = max(n, e.Sync)
		}
	}
	name := snapshot.Name(snapshot.Offline, n+1)
	home := v.hosts.Side[merge.Offline]
	if _, err := home.Freeze(ctx, name); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, home.Prune(context.WithoutCancel(ctx), []string{name})) }()
	if v.nowRoot, err = v.open(v.mb.Offline.Snapshots, name); err != nil {
		return err
	}
	if v.now, err = stream.Scan(v.nowRoot, v.mb.Offline.Layout); err != nil {
		return err
	}
	v.Mails = len(v.now.Files)
	v.checkMails()
	v.checkRefused()
	v.checkFolders()
	v.checkDates()
	if err := v.checkLineage(ctx); err != nil {
		return err
	}
	if v.opt.Digest {
		return v.digest(ctx)
	}
	return nil
}

func (v *verifier) checkStores() {
	if v.rec == nil {
		return
	}
	for _, side := range merge.Sides {
		path, layout := v.mb.Offline.Path, v.mb.Offline.Layout
		if side == merge.Online {
			path, layout = v.mb.Online.Path, v.mb.Online.Layout
		}
		was := v.rec.Stores[side]
		if is := v.hosts.Facts[side].Live.UUID.String(); is != was.Live {
			v.found("store-replaced", path, "its UUID is %s, at sync %d it was %s", is, v.rec.Sync, was.Live)
		}
		name := layout.String()
		if layout.UTF8 {
			name += ", utf-8"
		}
		if name != was.Layout {
			v.found("store-layout", path, "configured is %s, sync %d read it as %s", name, v.rec.Sync, was.Layout)
		}
	}
}

// live is a path in home's store, for a person to find.
func (v *verifier) live(f tree.File) string {
	return filepath.Join(v.mb.Offline.Path, pathOf(v.mb.Offline.Layout, f))
}

// checkMails looks at each mail alone: its length, its name, its keywords.
func (v *verifier) checkMails() {
	type name struct{ folder, unique string }
	seen := map[name]tree.File{}
	for _, f := range v.now.Files {
		n, err := tree.ParseName(f.Name)
		if err != nil {
			continue // Scan has refused it
		}
		switch size, _ := n.Sizes(); {
		case f.Size == 0:
			v.found("mail-empty", v.live(f), "it has no byte")
		case size >= 0 && size != f.Size:
			v.found("size-wrong", v.live(f), "it has %d bytes", f.Size)
		}
		at := name{f.Folder, n.Unique}
		if other, twice := seen[at]; twice && other.Ino != f.Ino {
			v.found("name-twice", v.live(f), "and %q", v.live(other))
		}
		seen[at] = f
		if folder := v.now.Folder(f.Folder); folder != nil {
			if _, unnamed := folder.Keywords.Names(n.Letters); unnamed != 0 {
				v.found("keyword-unnamed", v.live(f), "dovecot-keywords has no name for %s", unnamed)
			}
		}
	}
}

// checkRefused tells of entries that can not be mail.
func (v *verifier) checkRefused() {
	for _, r := range v.now.Refused {
		code := Code("not-mail")
		if r.Why == tree.Elsewhere {
			code = "store-nested"
		}
		v.found(code, filepath.Join(v.mb.Offline.Path, r.Path), "%s", r.Why)
	}
	if v.now.RefusedMore > 0 {
		v.More["not-mail"] += v.now.RefusedMore
	}
}

func (v *verifier) checkFolders() {
	for _, f := range v.now.Folders {
		dir, err := v.mb.Offline.Layout.Dir(f.Name)
		if err != nil {
			continue
		}
		for _, sub := range []string{"new", "tmp"} {
			var st unix.Stat_t
			err := unix.Fstatat(int(v.nowRoot.Fd()), filepath.Join(dir, sub), &st, unix.AT_SYMLINK_NOFOLLOW)
			if err == unix.ENOENT || err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
				v.found("folder-incomplete", filepath.Join(v.mb.Offline.Path, dir), "it has no %s", sub)
			}
		}
	}
}

// checkDates compares what the base snapshot has with what has the same inode now.
func (v *verifier) checkDates() {
	base := v.base[merge.Offline]
	if base == nil || !v.sameStore() {
		return
	}
	was := map[uint64]tree.File{}
	for _, f := range base.Files {
		was[f.Ino] = f
	}
	told := map[uint64]bool{}
	for _, f := range v.now.Files {
		if b, ok := was[f.Ino]; ok && b.Mtime != f.Mtime && !told[f.Ino] {
			told[f.Ino] = true
			v.found("date-changed", v.live(f), "it was %s", unixTime(b.Mtime))
		}
	}
}

// sameStore tells whether home is the subvolume that the base is a snapshot of.
func (v *verifier) sameStore() bool {
	return v.rec != nil && v.hosts.Facts[merge.Offline].Live.UUID.String() == v.rec.Stores[merge.Offline].Live
}

// checkLineage follows home from snapshot to snapshot: the kernel tells which files
// of the older one were written to, and of these the bytes are compared.
func (v *verifier) checkLineage(ctx context.Context) error {
	live := v.hosts.Facts[merge.Offline].Live.UUID
	var roots []*os.File
	for _, e := range v.shelves[merge.Offline] {
		if e.Info.ParentUUID != live || !e.Info.ReadOnly {
			continue // of another store, or not to be believed
		}
		root, err := v.open(v.mb.Offline.Snapshots, e.Name)
		if err != nil {
			return err
		}
		roots = append(roots, root)
	}
	roots = append(roots, v.nowRoot)
	told := map[uint64]bool{}
	for i := 1; i < len(roots); i++ {
		v.opt.Progress("history", i, len(roots)-1)
		paths, err := stream.Written(ctx, roots[i-1], roots[i])
		if err != nil {
			return err
		}
		for _, p := range paths {
			if err := v.compareWritten(roots[i-1], roots[i], p, told); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareWritten compares a file with what it was. Files that are not mail may be
// written to.
func (v *verifier) compareWritten(before, after *os.File, path string, told map[uint64]bool) error {
	sub := filepath.Base(filepath.Dir(path))
	if sub != "cur" && sub != "new" {
		return nil
	}
	is, err := openBeneath(after, path)
	if err != nil {
		return nil // no mail any more
	}
	defer is.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(is.Fd()), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || told[st.Ino] {
		return nil
	}
	was, err := v.byIno(before, st.Ino)
	if was == nil || err != nil {
		return err
	}
	defer was.Close()
	if same, err := sameBytes(was, is); err != nil || same {
		return err
	}
	told[st.Ino] = true
	v.found("content-changed", filepath.Join(v.mb.Offline.Path, path), "snapshot %s has it as %q, unchanged", filepath.Base(before.Name()), strings.TrimPrefix(was.Name(), "/"))
	return nil
}

func unixTime(ns int64) string { return fmt.Sprint(timeOf(ns).UTC().Format("2006-01-02 15:04:05")) }

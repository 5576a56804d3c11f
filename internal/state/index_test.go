package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"snapmerge/merge"
	"snapmerge/tree"
)

func openIndex(t testing.TB) *Index {
	t.Helper()
	x, err := Open(filepath.Join(t.TempDir(), "chris.db"))
	must(t, err)
	t.Cleanup(func() { x.Close() })
	return x
}

// Whatever a chain of syncs does to the two stores: what is loaded after each
// is what the sync had, and what is rebuilt from its snapshots and its record.
func TestCommitLoadRebuild(t *testing.T) {
	dir := openDir(t)
	paired, taken, moved := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		x := openIndex(t)
		s := &State{Trees: [2]*tree.Tree{{}, {}}}
		for range rapid.IntRange(1, 4).Draw(rt, "syncs") {
			now := [2]*tree.Tree{genTree.Draw(rt, "online"), genTree.Draw(rt, "offline")}
			next := Next{Meta: genMeta.Draw(rt, "meta"), MessageOf: messageOf, Pending: genPending.Draw(rt, "pending")}
			for side := range now {
				var err error
				next.Changes[side] = tree.Diff(s.Trees[side], now[side])
				// As the engine has it: what did not change keeps its ctime.
				now[side], err = s.Trees[side].Apply(next.Changes[side])
				must(rt, err)
				moved += len(next.Changes[side].RenamedFolders)
				taken += namesTaken(next.Changes[side])
			}
			var err error
			next.Pending.Pairs, err = NextPairs(s.Pairs, next.Changes, messageOf)
			must(rt, err)
			paired += len(next.Pending.Pairs)
			must(rt, x.Commit(next))

			s = &State{Meta: next.Meta, Trees: now, Messages: messages(now), Pending: next.Pending}
			got, err := x.Load()
			must(rt, err)
			expectSame(rt, "loaded", s, got)

			must(rt, WriteRecord(dir, &Record{Meta: next.Meta, Pending: next.Pending}))
			r, err := ReadRecord(dir, next.Sync)
			must(rt, err)
			must(rt, os.Remove(filepath.Join(dir.Name(), recordName(next.Sync))))
			rebuilt, err := Rebuild(now, r)
			must(rt, err)
			expectSame(rt, "rebuilt", got, rebuilt)

			fresh := openIndex(t)
			must(rt, fresh.Replace(rebuilt))
			must(rt, fresh.Replace(rebuilt)) // nothing of before may stay
			got, err = fresh.Load()
			must(rt, err)
			expectSame(rt, "replaced", s, got)
			checkQueries(rt, fresh, s)
			checkQueries(rt, x, s)
			must(rt, fresh.Close())
		}
		must(rt, x.Close())
	})
	t.Logf("%d pairs, %d renamed folders, %d names of removed folders taken", paired, moved, taken)
	if paired == 0 || moved == 0 || taken == 0 {
		t.Error("the random cases miss what is hard")
	}
}

// namesTaken counts the removed folders whose name another folder has now.
func namesTaken(c tree.Changes) (n int) {
	for _, name := range c.RemovedFolders {
		if slices.ContainsFunc(c.RenamedFolders, func(r tree.FolderRename) bool { return r.To == name }) ||
			slices.ContainsFunc(c.AddedFolders, func(f tree.Folder) bool { return f.Name == name }) {
			n++
		}
	}
	return n
}

// checkQueries compares every query with a walk over the state.
func checkQueries(t *rapid.T, x *Index, s *State) {
	t.Helper()
	var all []Entry
	for _, side := range merge.Sides {
		for i, f := range s.Trees[side].Files {
			all = append(all, Entry{side, f, s.Messages[side][i]})
		}
	}
	where := func(f func(Entry) bool) (out []Entry) {
		for _, e := range all {
			if f(e) {
				out = append(out, e)
			}
		}
		return out
	}
	check := func(what string, got []Entry, err error, match func(Entry) bool) {
		t.Helper()
		must(t, err)
		expectSame(t, what, where(match), got)
	}
	for _, e := range append(all, Entry{Message: "none", File: tree.File{Folder: "none", Name: "none"}}) {
		key, _ := keyOf(e.File)
		got, err := x.ByMessage(e.Message)
		check("ByMessage", got, err, func(g Entry) bool { return g.Message == e.Message })
		got, err = x.ByIno(e.Side, e.File.Ino)
		check("ByIno", got, err, func(g Entry) bool { return g.Side == e.Side && g.File.Ino == e.File.Ino })
		one, err := x.File(e.Side, e.File.Folder, e.File.New, e.File.Name)
		must(t, err)
		if there := len(where(func(g Entry) bool { return g.Side == e.Side && g.File.Compare(e.File) == 0 })) > 0; there != (one != nil && one.File == e.File) {
			t.Fatalf("File: %v, want %v", one, e)
		}
		inFolder := where(func(g Entry) bool { return g.Side == e.Side && g.File.Folder == e.File.Folder })
		n, err := x.Count(e.Side, e.File.Folder)
		must(t, err)
		got = nil
		for old, err := range x.Oldest(e.Side, e.File.Folder) {
			must(t, err)
			if len(got) > 0 && got[len(got)-1].File.Mtime > old.File.Mtime {
				t.Fatalf("Oldest: %d after %d", old.File.Mtime, got[len(got)-1].File.Mtime)
			}
			got = append(got, old)
		}
		if len(got) != len(inFolder) || n != len(inFolder) {
			t.Fatalf("Oldest: %d files, Count: %d, want %d", len(got), n, len(inFolder))
		}
		got, err = x.ByFolder(e.Side, e.File.Folder)
		check("ByFolder", got, err, func(g Entry) bool { return g.Side == e.Side && g.File.Folder == e.File.Folder })
		got, err = x.ByKey(key)
		check("ByKey", got, err, func(g Entry) bool { k, _ := keyOf(g.File); return k == key })
	}
	for _, side := range merge.Sides {
		n := 0
		for _, err := range x.Files(side) {
			must(t, err)
			n++
			if n == 3 {
				break // an iteration that is left early must not disturb the next
			}
		}
	}
}

// A folder goes and another one takes its name, with the same hard-linked file
// in it: to tree.Diff the file did not change, but its row is the old folder's.
func TestNameOfRemovedFolderTaken(t *testing.T) {
	file := tree.File{Folder: "x", Name: "1.h:2,", Ino: 5}
	for name, folder := range map[string]tree.Folder{"renamed": {Name: "x", Ino: 2}, "made": {Name: "x", Ino: 3}} {
		t.Run(name, func(t *testing.T) {
			x := openIndex(t)
			base := &tree.Tree{Folders: []tree.Folder{{Name: "x", Ino: 1}, {Name: "y", Ino: 2}}, Files: []tree.File{file}}
			now := &tree.Tree{Folders: []tree.Folder{folder}, Files: []tree.File{file}}
			empty := &tree.Tree{}
			must(t, x.Commit(Next{Changes: [2]tree.Changes{tree.Diff(empty, base)}, MessageOf: messageOf}))
			must(t, x.Commit(Next{Changes: [2]tree.Changes{tree.Diff(base, now)}, MessageOf: messageOf}))
			got, _, err := x.Tree(merge.Online)
			must(t, err)
			expectSame(t, "tree", now, got)
		})
	}
}

// The removed folder and the one that takes its name both hold a hard link of
// one mail under one name, and its message is not its key: one of two equal
// rows goes, and one of two equal pairs.
func TestEqualRows(t *testing.T) {
	x := openIndex(t)
	inX, inY := tree.File{Folder: "x", Name: "1.h:2,", Ino: 2}, tree.File{Folder: "y", Name: "1.h:2,", Ino: 2}
	base := &tree.Tree{Folders: []tree.Folder{{Name: "x", Ino: 11}, {Name: "y", Ino: 12}}, Files: []tree.File{inX, inY}}
	now := &tree.Tree{Folders: []tree.Folder{{Name: "x", Ino: 12}}, Files: []tree.File{inX}}
	var pairs []Pair
	for _, c := range []tree.Changes{tree.Diff(&tree.Tree{}, base), tree.Diff(base, now)} {
		changes := [2]tree.Changes{merge.Offline: c}
		var err error
		pairs, err = NextPairs(pairs, changes, messageOf)
		must(t, err)
		must(t, x.Commit(Next{Changes: changes, MessageOf: messageOf}))
	}
	got, err := x.Load()
	must(t, err)
	expectSame(t, "tree", now, got.Trees[merge.Offline])
	expectSame(t, "pairs", []Pair{{merge.Offline, "x", false, "1.h:2,", 2, messageOf(merge.Offline, inX)}}, pairs)
	expectSame(t, "pairs of the index", pairs, got.Pairs)
}

// Changes that do not fit leave the index as it was and ask for a rebuild.
func TestCommitRefuses(t *testing.T) {
	base := &tree.Tree{Folders: []tree.Folder{{Name: "a", Ino: 1}}, Files: []tree.File{{Folder: "a", Name: "1.h:2,", Ino: 5}}}
	for name, c := range map[string]tree.Changes{
		"remove unknown file":     {Removed: []tree.File{{Folder: "a", Name: "2.h:2,", Ino: 5}}},
		"remove other inode":      {Removed: []tree.File{{Folder: "a", Name: "1.h:2,", Ino: 6}}},
		"remove other size":       {Removed: []tree.File{{Folder: "a", Name: "1.h:2,", Ino: 5, Size: 1}}},
		"remove unknown folder":   {RemovedFolders: []string{"b"}},
		"remove folder with mail": {RemovedFolders: []string{"a"}},
		"rename unknown folder":   {RenamedFolders: []tree.FolderRename{{From: "b", To: "c"}}},
		"keywords of unknown":     {Keywords: []tree.Folder{{Name: "b"}}},
		"add to unknown folder":   {Added: []tree.File{{Folder: "b", Name: "2.h:2,", Ino: 6}}},
	} {
		t.Run(name, func(t *testing.T) {
			x := openIndex(t)
			must(t, x.Commit(Next{Meta: Meta{Sync: 1}, Changes: [2]tree.Changes{merge.Offline: tree.Diff(&tree.Tree{}, base)}, MessageOf: messageOf}))
			before, err := x.Load()
			must(t, err)
			// A change that does fit comes first: it must not stay either.
			online := tree.Changes{AddedFolders: []tree.Folder{{Name: "new", Ino: 9}}}
			err = x.Commit(Next{Meta: Meta{Sync: 2}, Changes: [2]tree.Changes{online, c}, MessageOf: messageOf})
			if !errors.Is(err, ErrRebuild) {
				t.Errorf("error %v, want ErrRebuild", err)
			}
			after, err := x.Load()
			must(t, err)
			expectSame(t, "index after refused commit", before, after)
		})
	}
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chris.db")
	x, err := Open(path)
	must(t, err)
	if m, err := x.Meta(); err != nil || m.Sync != 0 {
		t.Errorf("new index: %v, %v", m, err)
	}
	must(t, x.Replace(&State{Meta: Meta{Sync: 7}, Trees: [2]*tree.Tree{{}, {}}}))
	must(t, x.Close())
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; others can read it", st.Mode(), err)
	}
	x, err = Open(path)
	must(t, err)
	if m, err := x.Meta(); err != nil || m.Sync != 7 {
		t.Errorf("opened again: %v, %v", m, err)
	}
	must(t, x.Close())
}

func TestOpenRebuild(t *testing.T) {
	pragma := func(p string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenCreate)
			must(t, err)
			must(t, sqlitex.ExecuteScript(c, p, nil))
			must(t, c.Close())
		}
	}
	for name, damage := range map[string]func(t *testing.T, path string){
		"later schema":  pragma(fmt.Sprintf("PRAGMA user_version=%d", schemaVersion+1)),
		"not ours":      pragma("PRAGMA application_id=1"),
		"no SQLite":     func(t *testing.T, path string) { must(t, os.WriteFile(path, make([]byte, 8192), 0o600)) },
		"bytes garbled": garble,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "chris.db")
			x, err := Open(path)
			must(t, err)
			must(t, x.Replace(&State{Meta: Meta{Sync: 7}, Trees: [2]*tree.Tree{{}, {}}}))
			must(t, x.Close())
			damage(t, path)
			must(t, os.WriteFile(path+"-journal", []byte("of a killed run"), 0o600))
			x, err = Open(path)
			if err == nil {
				_, err = x.Load()
				x.Close()
			}
			if !errors.Is(err, ErrRebuild) {
				t.Errorf("error %v, want ErrRebuild", err)
			}
			must(t, Discard(path))
			if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			x, err = Open(path)
			must(t, err)
			if m, err := x.Meta(); err != nil || m.Sync != 0 {
				t.Errorf("after Discard: %v, %v", m, err)
			}
			must(t, x.Close())
		})
	}
	path := filepath.Join(t.TempDir(), "chris.db")
	must(t, os.WriteFile(path+"-journal", nil, 0o600)) // the index itself is gone already
	must(t, Discard(path))
	must(t, Discard(path))
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// garble overwrites all of the file after SQLite's own header.
func garble(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	must(t, err)
	for i := 100; i < len(data); i++ {
		data[i] = 0xa5
	}
	must(t, os.WriteFile(path, data, 0o600))
}

// BenchmarkCommit: a thousand flag changes in an index of 100,000 mails a side.
func BenchmarkCommit(b *testing.B) {
	t := &tree.Tree{Folders: []tree.Folder{{Name: tree.Inbox, Ino: 1}}}
	for i := range 100_000 {
		t.Files = append(t.Files, tree.File{Folder: tree.Inbox, Name: fmt.Sprintf("1450677467.M%06dP2137.mx,S=4542,W=4600:2,", i), Ino: uint64(1000 + i), Size: 4542})
	}
	trees := [2]*tree.Tree{t, t}
	x := openIndex(b)
	must(b, x.Replace(&State{Trees: trees, Messages: messages(trees)}))
	var c, back tree.Changes
	for i := 0; i < len(t.Files); i += 100 {
		f := t.Files[i]
		c.Removed = append(c.Removed, f)
		f.Name += "S"
		c.Added = append(c.Added, f)
	}
	back.Removed, back.Added = c.Added, c.Removed
	b.Run("1000", func(b *testing.B) {
		for b.Loop() {
			must(b, x.Commit(Next{Changes: [2]tree.Changes{c}, MessageOf: messageOf}))
			c, back = back, c
		}
	})
	b.Run("0", func(b *testing.B) {
		for b.Loop() {
			must(b, x.Commit(Next{}))
		}
	})
	b.Run("Load", func(b *testing.B) {
		for b.Loop() {
			_, err := x.Load()
			must(b, err)
		}
	})
	s, err := x.Load()
	must(b, err)
	b.Run("Replace", func(b *testing.B) {
		for b.Loop() {
			must(b, x.Replace(s))
		}
	})
}

// A file is looked up by its message. By its folder it would cost as many rows as
// that has mails, for each of them.
func TestFileByMessage(t *testing.T) {
	x := openIndex(t)
	var plan []string
	err := sqlitex.Execute(x.conn, "EXPLAIN QUERY PLAN SELECT 1 FROM file WHERE "+byName, &sqlitex.ExecOptions{
		Args: []any{"k", "n", false, int64(0), "f"},
		ResultFunc: func(s *sqlite.Stmt) error {
			plan = append(plan, s.ColumnText(3))
			return nil
		}})
	text := strings.Join(plan, "\n")
	if err != nil || !strings.Contains(text, "file_message") || strings.Contains(text, "file_folder") || strings.Contains(text, "SCAN file") {
		t.Errorf("%v\n%s", err, text)
	}
}

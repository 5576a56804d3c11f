package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/tree"
)

// Each case: what is in the store, the operation, how it ends and what is there
// then ("now < before"). An operation's source is the first file named.
func TestMail(t *testing.T) {
	const x, y = "1.x.h", "2.y.h"
	to := func(folder, unique, fl string) Target {
		return Target{Folder: folder, Unique: unique, Flags: flags(t, fl)}
	}
	cases := []struct {
		name string
		have string // files, in Maildir++; .A exists always
		op   Op
		why  string // "" done; else Result.Why, or a part of Result.Err
		want string // lines of show; "": nothing changed
	}{
		{"flag change", "cur/1.x.h:2,", Op{Kind: Rename, To: to("INBOX", x, "S")},
			"", "cur/1.x.h:2,S < cur/1.x.h:2,"},
		{"name without info gets one", "cur/1.x.h", Op{Kind: Rename, To: to("INBOX", x, "")},
			"", "cur/1.x.h:2, < cur/1.x.h"},
		{"same name: nothing to do", "cur/1.x.h:2,S", Op{Kind: Rename, To: to("INBOX", x, "S")}, "", ""},
		{"known mail leaves new", "new/1.x.h", Op{Kind: Rename, To: to("INBOX", x, "")},
			"", "cur/1.x.h:2, < new/1.x.h"},
		{"move with flags", "cur/1.x.h:2,S", Op{Kind: Rename, To: to("A", x, "FS")},
			"", ".A/cur/1.x.h:2,FS < cur/1.x.h:2,S"},
		{"unlink", "cur/1.x.h:2,S cur/2.y.h:2,", Op{Kind: Unlink}, "", "cur/2.y.h:2,"},
		{"copy", "cur/1.x.h:2,S", Op{Kind: Copy, To: to("A", x, "")},
			"", ".A/cur/1.x.h:2, < cur/1.x.h:2,S\ncur/1.x.h:2,S"},
		{"place", "", Op{Kind: Place, To: to("A", x, "S")},
			"", ".A/cur/1.x.h:2,S < from the snapshot"},
		{"extra part", "cur/1.x.h:2,S", Op{Kind: Rename, To: Target{Folder: "INBOX", Unique: x, Extra: ",e"}},
			"", "cur/1.x.h:2,,e < cur/1.x.h:2,S"},

		{"place: name in cur with other flags", ".A/cur/1.x.h:2,F", Op{Kind: Place, To: to("A", x, "S")}, "name taken", ""},
		{"place: name in new, where Dovecot would destroy it", ".A/new/1.x.h", Op{Kind: Place, To: to("A", x, "")}, "name taken", ""},
		{"place: name in new with flags", ".A/new/1.x.h:2,S", Op{Kind: Place, To: to("A", x, "")}, "name taken", ""},
		{"place: a longer name is another", ".A/new/1.x.h,S=1", Op{Kind: Place, To: to("A", x, "")},
			"", ".A/cur/1.x.h:2, < from the snapshot\n.A/new/1.x.h,S=1"},
		{"move: name in new", "cur/1.x.h:2,S .A/new/1.x.h", Op{Kind: Rename, To: to("A", x, "")}, "name taken", ""},
		{"copy: name in cur", "cur/1.x.h:2,S .A/cur/1.x.h:2,", Op{Kind: Copy, To: to("A", x, "S")}, "name taken", ""},
		{"another unique name, taken", "cur/1.x.h:2,S new/2.y.h", Op{Kind: Rename, To: to("INBOX", y, "")}, "name taken", ""},
		{"flag change onto an existing name", "cur/1.x.h:2,S cur/1.x.h:2,", Op{Kind: Rename, To: to("INBOX", x, "")}, "name taken", ""},

		{"rename: a client was faster", "cur/1.x.h:2,F", Op{Kind: Rename, From: tree.File{Name: "1.x.h:2,"}, To: to("INBOX", x, "S")}, string(raceChanged), ""},
		{"unlink: a client was faster", "cur/1.x.h:2,F", Op{Kind: Unlink, From: tree.File{Name: "1.x.h:2,"}}, string(raceChanged), ""},
		{"unlink: another file has the name", "cur/1.x.h:2,", Op{Kind: Unlink, From: tree.File{Ino: 1}}, string(raceChanged), ""},
		{"rename: another file has the name", "cur/1.x.h:2,", Op{Kind: Rename, From: tree.File{Ino: 1}, To: to("A", x, "S")}, string(raceChanged), ""},
		{"copy: another file has the name", "cur/1.x.h:2,", Op{Kind: Copy, From: tree.File{Ino: 1}, To: to("A", x, "S")}, string(raceChanged), ""},
		{"no such folder", "", Op{Kind: Place, To: to("B", x, "")}, string(raceGone), ""},

		{"letters do not travel", "cur/1.x.h:2,a", Op{Kind: Rename, To: Target{Folder: "A", Unique: x, Letters: 1}}, "own folder only", ""},
		{"letters are not placed", "", Op{Kind: Place, To: Target{Folder: "A", Unique: x, Letters: 1}}, "own folder only", ""},
		{"letters stay", "cur/1.x.h:2,a", Op{Kind: Rename, To: Target{Folder: "INBOX", Unique: x, Flags: tree.Seen, Letters: 1}},
			"", "cur/1.x.h:2,Sa < cur/1.x.h:2,a"},
		{"hostile target", "", Op{Kind: Place, To: to("A", "x/../../1.x.h", "")}, "slash", ""},
		{"hostile target with an info part", "", Op{Kind: Place, To: to("A", "1.x.h:2,S", "")}, "colon", ""},
		{"hostile extra", "", Op{Kind: Place, To: Target{Folder: "A", Unique: x, Extra: "a"}}, "no name of a mail", ""},
		{"hostile source", "cur/1.x.h:2,", Op{Kind: Unlink, From: tree.File{Name: "../cur/1.x.h:2,"}}, "no file name", ""},
		{"source of another size", "", Op{Kind: Place, To: to("A", x, ""), Size: 1}, "expected 1", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := newLive(t, tree.Layout{})
			v.maildir(".A")
			for i, p := range strings.Fields(c.have) {
				f := v.mail("INBOX", p)
				if i == 0 && c.op.Kind != Place {
					c.op.From = merge(f, c.op.From)
				}
			}
			if c.op.Kind == Place {
				size := c.op.Size
				c.op = v.place(c.op.To)
				if size != 0 {
					c.op.Size = size
				}
			}
			before := v.show()
			r := v.run(c.op)[0]
			got := v.show()
			if why := fmt.Sprint(r.Why, r.Err); c.why == "" && r.Outcome != Done || !strings.Contains(why, c.why) {
				t.Errorf("%v: %q %v, want %q", r.Outcome, r.Why, r.Err, c.why)
			}
			want := c.want + "\n"
			if c.want == "" {
				want = before
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("store (-want +got)\n%s", d)
			}
			if r.Outcome == Done && c.op.Kind != Unlink {
				dir, _ := v.layout.Dir(r.File.Folder)
				if d := cmp.Diff(v.file(c.op.To.Folder, filepath.Join(dir, "cur", r.File.Name)), r.File); d != "" {
					t.Errorf("result (-disk +result)\n%s", d)
				}
			}
		})
	}
}

// merge overlays the fields that a case gives.
func merge(f, with tree.File) tree.File {
	if with.Name != "" {
		f.Name = with.Name
	}
	if with.Ino != 0 {
		f.Ino = with.Ino
	}
	return f
}

// G3: a rename, move or copy leaves inode, size, mtime, owner and mode alone; a
// placed mail gets the folder's owner and mode, and the mtime it was given.
func TestMetadata(t *testing.T) {
	v := newLive(t, tree.Layout{})
	v.maildir(".A")
	f := v.mail("INBOX", "cur/1.x.h:2,")
	before := v.stat("cur/1.x.h:2,")
	dirs := []string{"cur", "new", ".A", ".A/cur", ".A/new"}
	rs := v.run(
		Op{Kind: Rename, From: f, Links: 1, To: Target{Folder: "A", Unique: "1.x.h", Flags: tree.Seen}},
		v.place(Target{Folder: "A", Unique: "2.y.h"}),
	)
	after := v.stat(".A/cur/1.x.h:2,S")
	if before.Ino != after.Ino || before.Mtim != after.Mtim || before.Mode != after.Mode || before.Uid != after.Uid || before.Size != after.Size {
		t.Errorf("moved: %+v\nwas: %+v", after, before)
	}
	p := v.stat(".A/cur/2.y.h:2,")
	if p.Uid != uid || p.Gid != uid || p.Mode&0o7777 != 0o600 || p.Mtim.Nano() != someTime {
		t.Errorf("placed: %+v", p)
	}
	for _, d := range dirs { // a mtime set back would hide the change from Dovecot
		if st := v.stat(d); st.Mtim.Nano() < before.Ctim.Nano()-1e9 {
			t.Errorf("mtime of %s is %v", d, st.Mtim)
		}
	}
	if rs[0].File.Ino != f.Ino || rs[0].File.Mtime != f.Mtime {
		t.Errorf("result %+v", rs[0].File)
	}
}

// A client's COPY links before it locks: more links than expected.
func TestLinks(t *testing.T) {
	for kind, op := range map[string]Op{
		"move":   {Kind: Rename, To: Target{Folder: "A", Unique: "1.x.h"}},
		"unlink": {Kind: Unlink},
	} {
		t.Run(kind, func(t *testing.T) {
			v := newLive(t, tree.Layout{})
			v.maildir(".A")
			op.From, op.Links = v.mail("INBOX", "cur/1.x.h:2,"), 1
			must(t, os.Link(v.path+"/cur/1.x.h:2,", v.path+"/.A/tmp/copying"))
			if r := v.run(op)[0]; r.Outcome != Raced || r.Why != string(raceLinked) {
				t.Errorf("%v %q", r.Outcome, r.Why)
			}
			op.Links = 2
			if r := v.run(op)[0]; r.Outcome != Done {
				t.Errorf("with two links expected: %v %q", r.Outcome, r.Why)
			}
		})
	}
}

// Folders that differ in mode: a copy is a new file with the target's.
func TestCopyToOtherMode(t *testing.T) {
	v := newLive(t, tree.Layout{})
	v.maildir(".A")
	must(t, os.Chmod(v.path+"/.A/cur", 0o750))
	f := v.mail("INBOX", "cur/1.x.h:2,")
	r := v.run(Op{Kind: Copy, From: f, To: Target{Folder: "A", Unique: "1.x.h"}})[0]
	st := v.stat(".A/cur/1.x.h:2,")
	if r.Outcome != Done || st.Ino == f.Ino || st.Mode&0o777 != 0o640 || st.Mtim.Nano() != f.Mtime || st.Size != f.Size {
		t.Errorf("%+v: %+v", r, st)
	}
}

// Deliveries go on under the lock: new/ is listed again when it has changed.
func TestDeliveryBetweenOperations(t *testing.T) {
	v := newLive(t, tree.Layout{})
	ops := []Op{v.place(Target{Folder: "INBOX", Unique: "1.x.h"}), v.place(Target{Folder: "INBOX", Unique: "2.y.h"}),
		v.place(Target{Folder: "INBOX", Unique: "1.x.h", Flags: tree.Seen})}
	var got []string
	must(t, v.Run(context.Background(), ops, func(i int, r Result) {
		if i == 0 {
			v.mail("INBOX", "new/2.y.h")
		}
		got = append(got, r.Outcome.String()+" "+r.Why)
	}))
	if d := cmp.Diff([]string{"done ", "raced name taken", "raced name taken"}, got); d != "" {
		t.Error(d)
	}
}

// The quota file goes before mail comes or goes, and again after.
func TestQuotaFile(t *testing.T) {
	for name, c := range map[string]struct {
		op   Op
		goes bool
	}{
		"flag change": {Op{Kind: Rename, To: Target{Folder: "INBOX", Unique: "1.x.h", Flags: tree.Seen}}, false},
		"unlink":      {Op{Kind: Unlink}, true},
	} {
		t.Run(name, func(t *testing.T) {
			v := newLive(t, tree.Layout{})
			c.op.From = v.mail("INBOX", "cur/1.x.h:2,")
			v.write("maildirsize", "1S\n7 1\n")
			during := true
			must(t, v.Run(context.Background(), []Op{c.op}, func(int, Result) {
				_, err := os.Stat(v.path + "/maildirsize")
				during = err == nil
				v.write("maildirsize", "1S\n7 1\n") // Dovecot counts anew
			}))
			if _, err := os.Stat(v.path + "/maildirsize"); during == c.goes || (err == nil) == c.goes {
				t.Errorf("there during the run: %v, after: %v, want %v", during, err == nil, !c.goes)
			}
		})
	}
}

// Nothing outside the store is touched, whatever the user puts in the way.
func TestSymlinks(t *testing.T) {
	for _, dir := range []string{".A", ".A/cur"} {
		t.Run(dir, func(t *testing.T) {
			v := newLive(t, tree.Layout{})
			out := filepath.Join(filepath.Dir(v.path), "outside")
			for _, sub := range []string{"", "cur", "new", "tmp"} {
				must(t, os.Mkdir(filepath.Join(out, sub), 0o700))
			}
			must(t, os.WriteFile(out+"/1.x.h:2,", nil, 0o600))
			must(t, os.WriteFile(out+"/cur/1.x.h:2,", nil, 0o600))
			if dir != ".A" {
				v.maildir(".A")
				must(t, os.Remove(filepath.Join(v.path, dir)))
			}
			must(t, os.Symlink(out, filepath.Join(v.path, dir)))
			from := tree.File{Folder: "A", Name: "1.x.h:2,", Ino: v.stat("../outside/1.x.h:2,").Ino}
			if dir == ".A" {
				from.Ino = v.stat("../outside/cur/1.x.h:2,").Ino
			}
			for _, r := range v.run(v.place(Target{Folder: "A", Unique: "9.z.h"}), Op{Kind: Unlink, From: from},
				Op{Kind: Rename, From: from, To: Target{Folder: "INBOX", Unique: "1.x.h"}},
				Op{Kind: MakeFolder, Folder: "A"}, Op{Kind: RemoveFolder, Folder: "A"}) {
				if r.Outcome == Done {
					t.Errorf("done: %+v", r)
				}
			}
			var names []string
			filepath.Walk(out, func(p string, fi os.FileInfo, err error) error {
				names = append(names, strings.TrimPrefix(p, out))
				return err
			})
			if d := cmp.Diff([]string{"", "/1.x.h:2,", "/cur", "/cur/1.x.h:2,", "/new", "/tmp"}, names); d != "" {
				t.Error(d)
			}
		})
	}
}

// Nor on the way to a folder, be the symlink's target inside the store or out.
func TestSymlinkAbove(t *testing.T) {
	for name, target := range map[string]string{"inside": "B", "outside": "../outside", "absolute": "/tmp"} {
		t.Run(name, func(t *testing.T) {
			v := newLive(t, tree.Layout{FS: true})
			for _, d := range []string{"B", "B/c", "../outside", "../outside/c"} {
				v.maildir(d)
			}
			must(t, os.Symlink(target, v.path+"/A"))
			f := v.mail("INBOX", "cur/1.x.h:2,")
			before := v.show()
			for _, r := range v.run(v.place(Target{Folder: "A/c", Unique: "9.z.h"}), Op{Kind: Rename, From: f, To: Target{Folder: "A/c", Unique: "1.x.h"}},
				Op{Kind: MakeFolder, Folder: "A/snapmerge-test"}, Op{Kind: RenameFolder, Folder: "B/c", NewFolder: "A/snapmerge-test"}, Op{Kind: RemoveFolder, Folder: "A/c"}) {
				if r.Outcome != Failed {
					t.Errorf("%v: %+v", r.Outcome, r)
				}
			}
			if d := cmp.Diff(before, v.show()); d != "" {
				t.Errorf("store (-before +after)\n%s", d)
			}
			for _, d := range []string{"B/c/cur", "B/c/tmp", "../outside/c/cur"} {
				v.stat(d) // still there
			}
			for _, d := range []string{"/tmp", v.path + "/B", v.path + "/../outside"} {
				if _, err := os.Lstat(d + "/snapmerge-test"); err == nil {
					t.Errorf("made in %s", d)
				}
			}
		})
	}
}

// A full disk ends the run with the operation that met it.
func TestNoSpace(t *testing.T) {
	path := btrfstest.New(t, 128<<20).Subvolume(t, "live")
	for _, d := range []string{"cur", "new", "tmp"} {
		must(t, os.Mkdir(filepath.Join(path, d), 0o700))
	}
	must(t, os.WriteFile("/tmp/snapmerge-big", make([]byte, 1<<20), 0o600))
	defer os.Remove("/tmp/snapmerge-big")
	s, err := Open(path, "", tree.Layout{})
	must(t, err)
	defer s.Close()
	var ops []Op
	for i := range 300 { // another file system: copied
		ops = append(ops, Op{Kind: Place, To: Target{Folder: "INBOX", Unique: fmt.Sprintf("%d.x.h", i)}, Size: 1 << 20,
			Source: func() (*os.File, error) { return os.Open("/tmp/snapmerge-big") }})
	}
	var last Result
	n := 0
	err = s.Run(context.Background(), ops, func(i int, r Result) { last = r; n++ })
	if !errors.Is(err, unix.ENOSPC) || last.Outcome != Failed || n == 1 || n == len(ops) {
		t.Errorf("after %d: %v; last %v", n, err, last)
	}
	if _, err := os.Lstat(filepath.Join(path, lockName)); err == nil {
		t.Error("lock left behind")
	}
}

func TestCancel(t *testing.T) {
	v := newLive(t, tree.Layout{})
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	err := v.Run(ctx, []Op{v.place(Target{Folder: "INBOX", Unique: "1.x.h"}), v.place(Target{Folder: "INBOX", Unique: "2.x.h"})},
		func(int, Result) { n++; cancel() })
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("%d results, %v", n, err)
	}
	if got := v.show(); got != "cur/1.x.h:2, < from the snapshot\n" {
		t.Errorf("store:\n%s", got)
	}
}

// Somebody renames without the lock (mutt, notmuch). Whoever wins, no mail is
// lost or doubled, and a result says done only for what it did.
func TestUnlockedRenames(t *testing.T) {
	v := newLive(t, tree.Layout{})
	v.maildir(".A")
	const n = 200
	var ops []Op
	inos := map[uint64]bool{}
	for i := range n {
		f := v.mail("INBOX", fmt.Sprintf("cur/%d.x.h:2,", i))
		inos[f.Ino] = true
		to := Target{Folder: []string{"INBOX", "A"}[i%2], Unique: fmt.Sprintf("%d.x.h", i), Flags: tree.Seen}
		ops = append(ops, Op{Kind: Rename, From: f, Links: 1, To: to})
	}
	var wg sync.WaitGroup
	start := make(chan struct{})
	wg.Go(func() {
		<-start
		for i := n - 1; i >= 0; i-- {
			p := fmt.Sprintf("%s/cur/%d.x.h:2,", v.path, i)
			os.Rename(p, p+"F")
		}
	})
	count := map[Outcome]int{}
	must(t, v.Run(context.Background(), ops, func(i int, r Result) {
		if i == n/10 {
			close(start)
		}
		count[r.Outcome]++
		dir, _ := v.layout.Dir(ops[i].To.Folder)
		_, err := os.Lstat(filepath.Join(v.path, dir, "cur", ops[i].To.Unique+":2,S"))
		if (r.Outcome == Done) != (err == nil) {
			t.Errorf("operation %d: %v %q %v, but %v", i, r.Outcome, r.Why, r.Err, err)
		}
	}))
	wg.Wait()
	for line := range strings.Lines(v.show()) {
		path, _, _ := strings.Cut(strings.TrimSpace(line), " < ")
		if ino := v.stat(path).Ino; !inos[ino] {
			t.Errorf("%s: unknown or twice", path)
		} else {
			delete(inos, ino)
		}
	}
	if len(inos) != 0 {
		t.Errorf("%d mails lost", len(inos))
	}
	if count[Raced] == 0 || count[Done] < n/10 || count[Failed] != 0 {
		t.Errorf("outcomes %v: the race was not met", count)
	}
}

// An unlink that is to leave another name leaves the last.
func TestNotLast(t *testing.T) {
	v := newLive(t, tree.Layout{})
	f := v.mail("INBOX", "cur/1.a:2,")
	must(t, os.Link(filepath.Join(v.path, "cur/1.a:2,"), filepath.Join(v.path, "cur/1.b:2,")))
	if r := v.run(Op{Kind: Unlink, From: f, NotLast: true})[0]; r.Outcome != Done {
		t.Errorf("of two: %+v", r)
	}
	f.Name = "1.b:2,"
	if r := v.run(Op{Kind: Unlink, From: f, NotLast: true})[0]; r.Outcome != Raced {
		t.Errorf("the last: %+v", r)
	}
}

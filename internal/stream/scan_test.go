package stream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/tree"
)

// TestScan: a search finds what a walk finds. compare holds both to each other in
// random stores; here is what these do not have, or seldom.
func TestScan(t *testing.T) {
	md, fsl := tree.Layout{}, tree.Layout{FS: true}
	for _, c := range []struct {
		what   string
		layout tree.Layout
		store  string // operations, see world.do
		want   string // a path that must be refused, or ""
	}{
		{"an empty store", md, "rm cur; rm new; rm tmp", ""},
		{"folders and mail", md, "folder .a; folder .a.b; mail cur/1:2,S; mail new/2; mail .a/cur/3; mail .a.b/new/4; mail tmp/5; write .a/dovecot-keywords", ""},
		{"folders and mail, fs", fsl, "folder a; folder a/b; mail cur/1:2,S; mail a/b/new/2; mail a/cur/3; write a/b/dovecot-keywords", ""},
		{"a mirror", tree.Layout{Mirror: true}, "mail cur/1; touch cur/1", ""},
		{"odd names", md, "mail cur/.hidden; mail cur/a:2,:2,; mail cur/:2,S; mail cur/,x", "cur/,x"},
		{"no files", md, "fifo cur/p; symlink cur/l; mkdir cur/d; mail cur/d/1; mkdir cur/.d", "cur/p"},
		{"a nested subvolume among the mail", md, "subvol cur/s; subvol cur/.s; subvol new/m:2,:2,; mail cur/1", "cur/s"},
		{"nested subvolumes in place of directories", md, "subvol .a; folder .b; rm .b/cur; subvol .b/cur; mail .b/new/1", ".b/cur"},
		{"a link in place of cur", md, "folder .a; mail .a/cur/1; mv .a/cur .a/was; symlink .a/cur; mail .a/new/2", ".a/cur"},
		{"placeholders", md, "mail cur/1; refuse cur/1; mail .a; refuse .a; folder .b; write .b/dovecot-keywords; refuse .b/dovecot-keywords", "cur/1"},
		{"copies", md, "folder .a; mail cur/1; ln cur/1 .a/cur/1; ln cur/1 new/1; ln cur/1 tmp/1; ln cur/1 cur/.1; ln cur/1 cur/1:2,:2,", "cur/1:2,:2,"},
		{"a folder moved below a younger one", fsl, "folder a; mail a/cur/1; folder b; mv a b/a; mail b/cur/2", ""},
		{"a mail older than its directory", md, "mail tmp/1; folder .a; mv tmp/1 .a/cur/1", ""},
	} {
		t.Run(strings.ReplaceAll(c.what, ",", ""), func(t *testing.T) {
			fs := btrfstest.Shared(t)
			w := newWorld(t, rand.New(rand.NewPCG(1, 2)), c.layout, fs.Subvolume(t, "live"))
			defer w.removeSubvolumes()
			w.script(c.store)
			checkScan(t, open(t, fs.Snapshot(t, w.root, "snap")), c.layout, c.want)
		})
	}
}

func checkScan(t *testing.T, root *os.File, l tree.Layout, refused string) *tree.Tree {
	t.Helper()
	want := scanned(t, root, l)
	got, err := searchScan(root, l)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("-walk +search:\n%s", d)
	}
	for _, no := range want.Refused {
		if no.Path == refused {
			refused = ""
		}
	}
	if refused != "" {
		t.Errorf("%q is not refused", refused)
	}
	return got
}

// TestScanMany: names that fill many buffers and leaves, copies that an inode's
// own item has no room for, and times that a file can hardly have.
func TestScanMany(t *testing.T) {
	fs := btrfstest.Shared(t)
	l := tree.Layout{FS: true, Mirror: true}
	w := newWorld(t, rand.New(rand.NewPCG(1, 2)), l, fs.Subvolume(t, "live"))
	for f := range 20 {
		w.script(fmt.Sprintf("folder f%d", f))
		for m := range 150 {
			w.script(fmt.Sprintf("mail f%d/cur/%d.%s:2,", f, m, strings.Repeat("host", f)))
		}
		w.script(fmt.Sprintf("ln f0/cur/1.:2, f%d/new/%s", f, strings.Repeat("x", 240)))
		w.script(fmt.Sprintf("ln f0/cur/1.:2, f%d/new/%s", f, strings.Repeat("y", 240)))
	}
	for i, at := range []time.Time{time.Unix(-1<<31, 999_999_999), time.Unix(1<<33, 1), time.Unix(-1, 0)} {
		if err := os.Chtimes(w.abs(fmt.Sprintf("f1/cur/%d.host:2,", i)), at, at); err != nil {
			t.Fatal(err)
		}
	}
	got := checkScan(t, open(t, fs.Snapshot(t, w.root, "snap")), l, "")
	if len(got.Files) != 20*152 || len(got.Folders) != 21 {
		t.Errorf("%d files in %d folders", len(got.Files), len(got.Folders))
	}
}

// TestScanWritable: what is being changed is walked.
func TestScanWritable(t *testing.T) {
	fs := btrfstest.Shared(t)
	w := newWorld(t, rand.New(rand.NewPCG(1, 2)), tree.Layout{}, fs.Subvolume(t, "live"))
	w.script("mail cur/1")
	root := open(t, w.root)
	if _, err := searchScan(root, w.l); !errors.Is(err, errNotReadOnly) {
		t.Errorf("search: %v", err)
	}
	got, err := Scan(root, w.l)
	if err != nil || len(got.Files) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := Scan(open(t, os.DevNull), w.l); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("no directory: %v", err)
	}
}

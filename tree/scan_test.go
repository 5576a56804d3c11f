package tree

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

func TestMain(m *testing.M) { btrfstest.Main(m) }

// build makes a store from lines: "dir/" a directory, "file" an empty file,
// "file = text" a file, "link -> target" a symbolic link, "fifo |" a FIFO.
func build(t testing.TB, root string, lines ...string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range lines {
		name, rest, text := strings.Cut(line, " = ")
		link, target, isLink := strings.Cut(line, " -> ")
		fifo, isFIFO := strings.CutSuffix(line, " |")
		switch {
		case strings.HasSuffix(line, "/"):
			check(os.MkdirAll(filepath.Join(root, line), 0o700))
		case text:
			check(os.WriteFile(filepath.Join(root, name), []byte(rest), 0o600))
		case isLink:
			check(os.Symlink(target, filepath.Join(root, link)))
		case isFIFO:
			check(unix.Mkfifo(filepath.Join(root, fifo), 0o600))
		default:
			check(os.WriteFile(filepath.Join(root, line), nil, 0o600))
		}
	}
}

func scan(t testing.TB, root string, l Layout) *Tree {
	t.Helper()
	d, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tree, err := Scan(d, l)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// show lists a tree as lines: "folder/", "folder: cur/name", "! path: why".
func show(tree *Tree) (lines []string) {
	for _, f := range tree.Folders {
		names, _ := f.Keywords.Names(1<<26 - 1)
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%s/ %s", f.Name, strings.Join(names, " ")), " "))
	}
	for _, f := range tree.Files {
		lines = append(lines, fmt.Sprintf("%s: %s/%s", f.Folder, f.Dir(), f.Name))
	}
	for _, r := range tree.Refused {
		lines = append(lines, fmt.Sprintf("! %q: %s", r.Path, r.Why))
	}
	return lines
}

func TestScan(t *testing.T) {
	fs := btrfstest.Shared(t)
	tests := []struct {
		what   string
		layout Layout
		store  []string
		want   []string
	}{
		{"empty subvolume", Layout{}, nil, nil},
		{"control files alone are no INBOX", Layout{}, []string{"dovecot-uidlist", "subscriptions"}, nil},
		{"INBOX", Layout{},
			[]string{"cur/", "new/", "tmp/", "cur/b:2,S", "cur/a:2,", "new/c", "tmp/d", "dovecot-uidlist", "cur/.hidden", "cur/..."},
			[]string{"INBOX/", "INBOX: cur/a:2,", "INBOX: cur/b:2,S", "INBOX: new/c"}},
		{"new/ alone", Layout{}, []string{"new/", "new/c"}, []string{"INBOX/", "INBOX: new/c"}},
		{"Maildir++ folders", Layout{},
			[]string{"cur/", ".a.b/cur/", ".a.b/cur/x", ".&AMQ-/cur/", ".bare/", ".a.b/sub/cur/", ".a.b/sub/cur/y", ".file"},
			[]string{"INBOX/", "a/b/", "bare/", "Ä/", "a/b: cur/x"}},
		{"fs folders", Layout{FS: true},
			[]string{"cur/", "a/b/cur/", "a/b/cur/x", "a/b/cur/sub/cur/", "&AMQ-/cur/", "bare/", "INBOX/sub/cur/", ".a/cur/",
				"xapian-indexes/cur/", "dovecot.index.d/cur/"},
			[]string{"INBOX/", "INBOX/sub/", "a/b/", "Ä/", "a/b: cur/x", `! "a/b/cur/sub": directory`}},
		{"keywords of each folder", Layout{},
			[]string{"cur/", ".a/cur/", ".b/cur/", "dovecot-keywords = 0 Junk\n1 unknown-1\n", ".a/dovecot-keywords = 0 Zeta\n1 Junk\n"},
			[]string{"INBOX/ Junk", "a/ Junk Zeta", "b/"}},
		{"keywords that are none", Layout{},
			[]string{"cur/", ".l/cur/", ".f/cur/", ".d/cur/", "secret = 0 Junk\n", ".l/dovecot-keywords -> ../secret", ".f/dovecot-keywords |",
				".d/dovecot-keywords/", "dovecot-keywords = " + strings.Repeat("0 Junk\n", 10000)},
			[]string{"INBOX/", "d/", "f/", "l/", `! ".d/dovecot-keywords": directory`, `! ".f/dovecot-keywords": FIFO`,
				`! ".l/dovecot-keywords": symbolic link`, `! "dovecot-keywords": too long for a table of keywords`}},
		{"names that are no mail's", Layout{},
			[]string{"cur/", "new/", "cur/a:2,S:2,F", "cur/b\r", "new/:2,S", "new/ok"},
			[]string{"INBOX/", "INBOX: new/ok", `! "cur/a:2,S:2,F": holds more than one colon`, `! "cur/b\r": holds a slash, NUL, CR or LF`,
				`! "new/:2,S": no unique part`}},
		{"entries that are no files", Layout{},
			[]string{"cur/", "cur/d/", "cur/l -> /etc/passwd", "cur/p |"},
			[]string{"INBOX/", `! "cur/d": directory`, `! "cur/l": symbolic link`, `! "cur/p": FIFO`}},
		{"links in place of folders", Layout{},
			[]string{"cur -> .a/cur", "new/", ".a/cur/", ".a/cur/x", ".b/", ".b/cur -> ../.a/cur", ".c -> .a", "d -> .a", ".dovecot.sieve -> .a"},
			[]string{"INBOX/", "a/", "b/", "a: cur/x", `! ".b/cur": symbolic link`, `! ".c": symbolic link`, `! "cur": symbolic link`}},
		{"a link is all there is of INBOX", Layout{}, []string{".a/cur/", "cur -> .a/cur"}, []string{"INBOX/", "a/", `! "cur": symbolic link`}},
		{"links in place of folders, fs", Layout{FS: true},
			[]string{"cur/", "a/cur/", "a/cur/x", "b/", "b/cur -> ../a/cur", "c -> a", "d/", "d/e -> ../.."},
			[]string{"INBOX/", "a/", "b/", "a: cur/x", `! "b/cur": symbolic link`, `! "c": symbolic link`, `! "d/e": symbolic link`}},
		{"directories that are no folders", Layout{},
			[]string{"cur/", "plain/cur/", "empty/", "..DOVECOT-TRASHED/cur/", "..DOVECOT-TRASHED.1/cur/", "..DOVECOT-TrasH/cur/", ".INBOX/cur/", ".a..b/"},
			[]string{"INBOX/", `! ".INBOX": directory ".INBOX": folder "INBOX" has the directory "."`,
				`! "plain": directory "plain": a Maildir++ folder begins with a dot`}},
		{"directories that are no folders, fs", Layout{FS: true},
			[]string{"cur/", "Inbox/a/cur/", "INBOX/cur/", "\xff/", "a&/cur/"},
			[]string{"INBOX/", `! "INBOX": directory "INBOX": folder "INBOX" has the directory "."`,
				`! "Inbox/a": directory "Inbox/a": another spelling of INBOX`, `! "a&": directory "a&": not modified UTF-7`}},
		{"one message half-way moved from new/ to cur/ is two files", Layout{},
			[]string{"cur/", "new/", "cur/x:2,", "new/x"}, []string{"INBOX/", "INBOX: cur/x:2,", "INBOX: new/x"}},
	}
	for i, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			live := fs.Subvolume(t, fmt.Sprintf("live%d", i))
			build(t, live, tt.store...)
			got := scan(t, fs.Snapshot(t, live, fmt.Sprintf("snap%d", i)), tt.layout)
			if d := cmp.Diff(tt.want, show(got)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// What a file and a folder are told by: the numbers of the snapshot's inodes.
func TestScanStat(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	build(t, live, "cur/", ".a/cur/", "cur/x:2,S = twelve bytes")
	mtime := time.Unix(1450677467, 123456789)
	file := filepath.Join(live, "cur/x:2,S")
	if err := os.Chtimes(file, time.Time{}, mtime); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(file, filepath.Join(live, ".a/cur/x:2,")); err != nil {
		t.Fatal(err)
	}
	got := scan(t, fs.Snapshot(t, live, "snap"), Layout{})
	stat := func(name string) (st unix.Stat_t) {
		if err := unix.Lstat(filepath.Join(live, name), &st); err != nil {
			t.Fatal(err)
		}
		return st
	}
	x := stat("cur/x:2,S")
	f := File{Folder: Inbox, Name: "x:2,S", Ino: x.Ino, Size: 12, Mtime: mtime.UnixNano(), Ctime: x.Ctim.Nano()}
	g := f
	g.Folder, g.Name = "a", "x:2,"
	want := &Tree{Folders: []Folder{{Name: Inbox, Ino: stat(".").Ino}, {Name: "a", Ino: stat(".a").Ino}}, Files: []File{f, g}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Mail in a subvolume of its own is missing from every snapshot. Its empty
// stand-in must not pass for a folder that has lost all its mail.
func TestScanNestedSubvolumes(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	build(t, live, "cur/", ".b/new/")
	for _, name := range []string{"live/.a", "live/.b/cur"} {
		fs.Subvolume(t, name)
	}
	build(t, live, ".a/cur/", ".a/cur/x", ".b/cur/y")
	want := []string{"INBOX/", "b/", `! ".a": another file system or subvolume`, `! ".b/cur": another file system or subvolume`}
	for _, root := range []string{live, fs.Snapshot(t, live, "snap")} {
		if d := cmp.Diff(want, show(scan(t, root, Layout{}))); d != "" {
			t.Errorf("%s (-want +got):\n%s", root, d)
		}
	}
}

func TestScanMount(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	build(t, live, "cur/", ".a/", ".b/cur/", ".k/cur/", ".k/dovecot-keywords")
	for _, name := range []string{".a", ".b/cur"} {
		dir := filepath.Join(live, name)
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(dir, 0) })
		build(t, dir, "cur/", "x")
	}
	want := []string{"INBOX/", "b/", "k/", `! ".a": another file system or subvolume`, `! ".b/cur": another file system or subvolume`}
	if d := cmp.Diff(want, show(scan(t, live, Layout{}))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// openat2 is the second line of defence behind lstat: what turns into a link
// between the two is not followed.
func TestOpenFollowsNothing(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	build(t, live, ".a/cur/", ".b -> .a", ".a/up -> ..")
	d, err := os.Open(live)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	s, err := openStore(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".b", ".b/cur", ".a/up", "..", ".a/../..", "/", "/etc", ".a/cur/../../.."} {
		if f, err := s.openDir(name); err == nil {
			t.Errorf("open %q succeeded", name)
			f.Close()
		}
	}
	if f, err := s.openDir(".a/cur"); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
}

func TestScanManyRefused(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	build(t, live, "cur/", ".a/cur/", ".b/cur/", ".b/cur/c:2,:")
	for i := range maxRefused + 7 {
		build(t, live, fmt.Sprintf("cur/%05d:2,:", i))
	}
	for i := range 20 {
		build(t, live, fmt.Sprintf(".a/cur/%05d:2,:", i))
	}
	got := scan(t, live, Layout{})
	if len(got.Refused) != maxRefused || got.RefusedMore != 28 {
		t.Errorf("%d refused and %d more, want %d and 28", len(got.Refused), got.RefusedMore, maxRefused)
	}
	if !slices.IsSortedFunc(got.Refused, func(a, b Refused) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("not sorted")
	}
}

// A tree as deep as paths can be is read without an error; what lies deeper
// than a folder can be is refused.
func TestScanDeep(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	build(t, live, "cur/")
	dir, err := os.OpenRoot(live)
	if err != nil {
		t.Fatal(err)
	}
	level := strings.Repeat("x", 250)
	for range 20 { // more than PATH_MAX: made level by level
		if err := dir.Mkdir(level, 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := dir.OpenRoot(level)
		if err != nil {
			t.Fatal(err)
		}
		dir.Close()
		dir = next
		if err := dir.Mkdir("cur", 0o700); err != nil {
			t.Fatal(err)
		}
	}
	dir.Close()
	got := scan(t, live, Layout{FS: true})
	if len(got.Folders) != 1+15 || len(got.Refused) != 1 {
		t.Errorf("%d folders and %d refused, want 16 and 1", len(got.Folders), len(got.Refused))
	}
}

// More folders than workers, each with its own files: nothing mixed up.
func TestScanManyFolders(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := fs.Subvolume(t, "live")
	var want []string
	for i := range 100 {
		name := fmt.Sprintf("f%03d", i)
		build(t, live, "."+name+"/cur/", "."+name+"/new/", "."+name+"/cur/"+name+":2,", "."+name+"/new/"+name)
		want = append(want, name+": cur/"+name+":2,", name+": new/"+name)
	}
	got := show(scan(t, live, Layout{}))
	if d := cmp.Diff(want, got[100:]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestScanErrors(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if tree, err := Scan(f, Layout{}); err == nil {
		t.Errorf("a tree of %s: %+v", os.DevNull, tree)
	}
}

func TestNanoseconds(t *testing.T) {
	for _, tt := range []struct {
		ts   unix.Timespec
		want int64
	}{
		{unix.Timespec{}, 0},
		{unix.Timespec{Sec: 1450677467, Nsec: 5}, 1450677467000000005},
		{unix.Timespec{Sec: -1, Nsec: 999999999}, -1},
		{unix.Timespec{Sec: math.MaxInt64, Nsec: 999999999}, 9223372035999999999},
		{unix.Timespec{Sec: math.MinInt64}, -9223372035000000000},
	} {
		if got := nanoseconds(tt.ts); got != tt.want {
			t.Errorf("nanoseconds(%+v) = %d, want %d", tt.ts, got, tt.want)
		}
	}
}

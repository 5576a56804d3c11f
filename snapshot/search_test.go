package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

func TestSearchArgs(t *testing.T) {
	if n := unsafe.Sizeof(searchArgs{}); n != 112 || iocSearch != 0xc0709411 || unsafe.Offsetof(searchArgs{}.size) != 104 {
		t.Errorf("BTRFS_IOC_TREE_SEARCH_V2: %d bytes, number %#x", n, iocSearch)
	}
}

// stored makes a subvolume with names of all kinds; 300 links of one file
// are more than an InodeRef holds.
func stored(t *testing.T) (live string) {
	t.Helper()
	fs := btrfstest.Shared(t)
	live = fs.Subvolume(t, "live")
	for _, dir := range []string{"cur", "new", "deep/er"} {
		mkdir(t, fs, "live/"+dir)
	}
	for i := range 2000 {
		write(t, filepath.Join(live, "cur", fmt.Sprint(i)), strings.Repeat("x", i))
	}
	for i := range 300 {
		in := []string{"cur", "new", "deep/er"}[i%3]
		if err := os.Link(filepath.Join(live, "cur/7"), filepath.Join(live, in, strings.Repeat("long", 50)+fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(os.Symlink("x", filepath.Join(live, "cur/link")), unix.Mkfifo(filepath.Join(live, "new/fifo"), 0o640),
		os.Chmod(filepath.Join(live, "cur/9"), 0), os.Chtimes(filepath.Join(live, "cur/9"), time.Unix(-5, 6), time.Unix(1<<33, 999999999)))
	if err != nil {
		t.Fatal(err)
	}
	fs.Subvolume(t, "live/cur/nested")
	return live
}

// names returns every path below root, as directory's inode number and name.
func names(t *testing.T, root string) map[string]unix.Stat_t {
	t.Helper()
	all := map[string]unix.Stat_t{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		var dir, st unix.Stat_t
		if err := errors.Join(unix.Lstat(filepath.Dir(p), &dir), unix.Lstat(p, &st)); err != nil {
			return err
		}
		all[fmt.Sprintf("%d/%s", dir.Ino, d.Name())] = st
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSearch: what the items tell is what walking with a stat of each tells. A
// nested subvolume has no inode here; the directory's entry tells of it.
func TestSearch(t *testing.T) {
	live := stored(t)
	root := openDirectory(t, btrfstest.Shared(t).Snapshot(t, live, "snap"))
	want := names(t, root.Name())
	got := map[string]unix.Stat_t{}
	inodes := map[uint64]Inode{}
	links := map[uint64]uint32{}
	for item := range items(t, NewSearch(root, Key{}, MaxKey, 0)) {
		switch item.Type {
		case InodeItemType:
			ino, err := item.Inode()
			if err != nil {
				t.Fatal(err)
			}
			inodes[ino.Ino] = ino
		case InodeRefType, ExtRefType:
			err := item.Refs(func(dir uint64, name []byte) error {
				i := inodes[item.Object]
				links[item.Object]++
				if item.Object != 256 { // the root is its own ".."
					got[fmt.Sprintf("%d/%s", dir, name)] = unix.Stat_t{Ino: i.Ino, Mode: i.Mode, Nlink: uint64(i.Nlink), Size: i.Size, Atim: i.Atime, Mtim: i.Mtime, Ctim: i.Ctime}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		case DirIndexType:
			e, err := item.DirEntry()
			if err != nil {
				t.Fatal(err)
			}
			if e.Target.Type == RootItemType {
				got[fmt.Sprintf("%d/%s", item.Object, e.Name)] = unix.Stat_t{Mode: unix.S_IFDIR}
			}
		}
	}
	for ino, n := range links {
		if inodes[ino].Nlink != n {
			t.Errorf("inode %d has %d names and %d links", ino, n, inodes[ino].Nlink)
		}
	}
	if len(want) < 2300 || !slices.Equal(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))) {
		t.Fatalf("-walk +search:\n%s", cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))))
	}
	for name, w := range want {
		g := got[name]
		if g.Ino == 0 { // the nested one
			w = unix.Stat_t{Mode: w.Mode & unix.S_IFMT}
		}
		w = unix.Stat_t{Ino: w.Ino, Mode: w.Mode, Nlink: w.Nlink, Size: w.Size, Atim: w.Atim, Mtim: w.Mtim, Ctim: w.Ctim}
		if w != g {
			t.Errorf("%s: -walk +search\n-%+v\n+%+v", name, w, g)
		}
	}
}

func openDirectory(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// items returns what a search finds, and holds it to its order and range.
func items(t *testing.T, s *Search) func(func(Item) bool) {
	return func(yield func(Item) bool) {
		last := Key{}
		from, to := s.from, s.to
		for {
			item, err := s.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if item.Compare(last) <= 0 || item.Compare(from) < 0 || item.Compare(to) > 0 {
				t.Fatalf("%v after %v in a search from %v to %v", item.Key, last, from, to)
			}
			last = item.Key
			if !yield(item) {
				return
			}
		}
	}
}

// TestSearchRange: any range, and any sought key, gives a part of the whole.
func TestSearchRange(t *testing.T) {
	root := openDirectory(t, btrfstest.Shared(t).Snapshot(t, stored(t), "snap"))
	var all []Key
	for item := range items(t, NewSearch(root, Key{}, MaxKey, 0)) {
		all = append(all, item.Key)
	}
	s := NewSearch(root, Key{}, Key{}, 0)
	for i := 0; i < len(all); i += 997 {
		for _, n := range []int{0, 1, 500, len(all)} {
			j := min(i+n, len(all)-1)
			s.Restart(all[i], all[j])
			var got []Key
			for item := range items(t, s) {
				got = append(got, item.Key)
			}
			if !slices.Equal(got, all[i:j+1]) {
				t.Errorf("from %v to %v: %d items, want %d", all[i], all[j], len(got), j+1-i)
			}
		}
	}
	// Every directory's entries sought over; seeking backwards does nothing.
	var want, got []Key
	for _, k := range all {
		if k.Type != DirItemType && k.Type != DirIndexType {
			want = append(want, k)
		}
	}
	s.Restart(Key{}, MaxKey)
	for item := range items(t, s) {
		if item.Type == DirItemType || item.Type == DirIndexType {
			s.Seek(Key{item.Object, DirIndexType + 1, 0})
			s.Seek(Key{})
			continue
		}
		got = append(got, item.Key)
	}
	if !slices.Equal(want, got) {
		t.Errorf("%d items beside the entries of directories, want %d", len(got), len(want))
	}
}

// TestSearchSince: of many mails, a search since the snapshot finds the leaves of
// the one that changed, in all its places, and not of the others.
func TestSearchSince(t *testing.T) {
	fs := btrfstest.Shared(t)
	live := stored(t)
	base, err := Read(fs.Snapshot(t, live, "base"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(live, "cur/1000"), filepath.Join(live, "new/1000")); err != nil {
		t.Fatal(err)
	}
	root := openDirectory(t, fs.Snapshot(t, live, "now"))
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(live, "new/1000"), &st); err != nil {
		t.Fatal(err)
	}
	var files, changed int
	for item := range items(t, NewSearch(root, Key{}, MaxKey, base.Otransid+1)) {
		if item.Type != InodeItemType {
			continue
		}
		i, err := item.Inode()
		if err != nil {
			t.Fatal(err)
		}
		files++
		if i.Transid > base.Otransid {
			changed++
			if i.Mode&unix.S_IFMT != unix.S_IFDIR && i.Ino != st.Ino {
				t.Errorf("inode %d counts as changed", i.Ino)
			}
		}
	}
	if changed != 3 || files > 500 { // cur, new, and the mail
		t.Errorf("%d inodes have changed, of %d", changed, files)
	}
}

func TestSearchErrors(t *testing.T) {
	if _, err := NewSearch(openDirectory(t, "/proc"), Key{}, MaxKey, 0).Next(); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("not btrfs: %v", err)
	}
	root := openDirectory(t, btrfstest.Shared(t).Subvolume(t, "live"))
	root.Close()
	if _, err := NewSearch(root, Key{}, MaxKey, 0).Next(); !errors.Is(err, unix.EBADF) {
		t.Errorf("closed: %v", err)
	}
}

// TestItemLengths: of an item that is cut, or longer than it says, nothing is used.
func TestItemLengths(t *testing.T) {
	inode := Item{Key{257, InodeItemType, 0}, make([]byte, inodeLen)}
	ref := Item{Key{257, InodeRefType, 256}, append(binary.LittleEndian.AppendUint16(make([]byte, 8), 3), "abc"...)}
	two := Item{ref.Key, slices.Concat(ref.Data, ref.Data)}
	ext := Item{Key{257, ExtRefType, 1}, append(binary.LittleEndian.AppendUint16(make([]byte, 16), 2), "xy"...)}
	entry := Item{Key{256, DirIndexType, 2}, append(make([]byte, dirEntryLen), "name"...)}
	entry.Data[27] = 4
	parse := func(i Item) error {
		_, err1 := i.Inode()
		err2 := i.Refs(func(uint64, []byte) error { return nil })
		_, err3 := i.DirEntry()
		for _, err := range []error{err1, err2, err3} {
			if err == nil {
				return nil
			}
		}
		return errors.Join(err1, err2, err3)
	}
	for _, good := range []Item{inode, ref, two, ext, entry} {
		if err := parse(good); err != nil {
			t.Errorf("%v: %v", good, err)
		}
		for n := 1; n < len(good.Data); n++ {
			if n == len(ref.Data) && len(good.Data) == 2*n {
				continue // one of two names
			}
			if parse(Item{good.Key, good.Data[:n]}) == nil {
				t.Errorf("%v cut to %d bytes is taken", good, n)
			}
		}
		if parse(Item{good.Key, append(slices.Clone(good.Data), 0)}) == nil {
			t.Errorf("%v with a byte more is taken", good)
		}
		if parse(Item{Key{good.Object, 24, good.Offset}, good.Data}) == nil {
			t.Errorf("%v is taken as an attribute", good)
		}
	}
	for _, bad := range []struct {
		item Item
		at   int
		put  byte
	}{{ref, 8, 0}, {ref, 9, 1}, {ext, 16, 0}, {ext, 17, 255}, {entry, 27, 0}, {entry, 28, 1}, {entry, 25, 1}} {
		data := slices.Clone(bad.item.Data)
		data[bad.at] = bad.put
		if parse(Item{bad.item.Key, data}) == nil {
			t.Errorf("%v with %d at byte %d is taken", bad.item, bad.put, bad.at)
		}
	}
}

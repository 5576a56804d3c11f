package reflink

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"snapmerge/internal/btrfstest"
)

// TestRenameAndLink: each case starts with a/mail, a/twin (a hard link of it),
// a/symlink, b/taken and the directory b/dir, and says what is there afterwards.
func TestRenameAndLink(t *testing.T) {
	tests := []struct {
		name     string
		op       func(*os.File, string, *os.File, string) error
		from, to string // in a, in b
		want     error
		gone     string // in a
		made     string // in b
	}{
		{"rename to a free name", Rename, "mail", "new", nil, "mail", "new"},
		{"rename to a taken name", Rename, "mail", "taken", ErrExist, "", ""},
		{"rename to a directory", Rename, "mail", "dir", ErrExist, "", ""},
		{"rename of a name that is gone", Rename, "gone", "new", fs.ErrNotExist, "", ""},
		{"rename of a symlink moves the symlink", Rename, "symlink", "new", nil, "symlink", "new"},
		{"rename by a path", Rename, "../a/mail", "new", unix.EINVAL, "", ""},
		{"rename to a path", Rename, "mail", "dir/new", unix.EINVAL, "", ""},
		{"link to a free name", Link, "mail", "new", nil, "", "new"},
		{"link to a taken name", Link, "mail", "taken", ErrExist, "", ""},
		{"link of a name that is gone", Link, "gone", "new", fs.ErrNotExist, "", ""},
		{"link of a symlink links the symlink", Link, "symlink", "new", nil, "", "new"},
		{"link by a path", Link, "../a/mail", "new", unix.EINVAL, "", ""},
		{"link to a path", Link, "mail", "..", unix.EINVAL, "", ""},
	}
	for _, tt := range tests {
		a, b := twoDirs(t)
		before := listing(t, filepath.Dir(a.Name()))
		err := tt.op(a, tt.from, b, tt.to)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
		after := listing(t, filepath.Dir(a.Name()))
		want, got := map[string]uint64{}, map[string]uint64{}
		for p, st := range before {
			want[p] = st[3]
		}
		if tt.made != "" {
			want["/b/"+tt.made] = before["/a/"+tt.from][3]
		}
		if tt.gone != "" {
			delete(want, "/a/"+tt.gone)
		}
		for p, st := range after {
			got[p] = st[3]
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: names and inodes (-want +got):\n%s", tt.name, d)
		}
	}
}

// TestRenameToOwnLink: rename(2) between two links of one file does nothing and
// reports success; a caller would think the old name gone.
func TestRenameToOwnLink(t *testing.T) {
	a, _ := twoDirs(t)
	if err := Rename(a, "mail", a, "twin"); !errors.Is(err, ErrExist) {
		t.Errorf("error %v, want ErrExist", err)
	}
}

// TestRenameAcrossSubvolumes: the kernel's EXDEV comes through.
func TestRenameAcrossSubvolumes(t *testing.T) {
	a, _ := twoDirs(t)
	other := open(t, btrfstest.Shared(t).Subvolume(t, "other"))
	for name, op := range map[string]func(*os.File, string, *os.File, string) error{"rename": Rename, "link": Link} {
		if err := op(a, "mail", other, "x"); !errors.Is(err, unix.EXDEV) {
			t.Errorf("%s: %v, want EXDEV", name, err)
		}
	}
}

func TestSyncfs(t *testing.T) {
	a, _ := twoDirs(t)
	if err := Syncfs(a); err != nil {
		t.Error(err)
	}
	p, err := os.OpenFile(a.Name(), unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := Syncfs(p); !errors.Is(err, unix.EBADF) {
		t.Errorf("O_PATH handle: %v, want EBADF", err)
	}
}

// TestSameBytes compares random contents with themselves, with one byte
// changed anywhere (first, last and around the buffer's ends on purpose), cut
// and extended.
func TestSameBytes(t *testing.T) {
	dir := btrfstest.Shared(t).Path
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 3*bufSize), rapid.SampledFrom([]int{0, 1, bufSize - 1, bufSize, bufSize + 1, 2 * bufSize})).Draw(rt, "size")
		a := randomBytes(size)
		b := bytes.Clone(a)
		switch how := rapid.SampledFrom([]string{"same", "byte", "cut", "longer"}).Draw(rt, "how"); {
		case how == "longer":
			b = append(b, 0)
		case how == "byte" && size > 0:
			at := rapid.OneOf(rapid.IntRange(0, size-1), rapid.Just(size-1), rapid.Just(min(bufSize, size-1))).Draw(rt, "at")
			b[at] ^= 1
		case how == "cut" && size > 0:
			b = b[:size-1]
		}
		fa, fb := temp(rt, dir, a), temp(rt, dir, b)
		defer fa.Close()
		defer fb.Close()
		got, err := SameBytes(fa, fb)
		if want := bytes.Equal(a, b); err != nil || got != want {
			rt.Errorf("%d and %d bytes: %v, %v, want %v", len(a), len(b), got, err, want)
		}
	})
}

// TestSameBytesRefuses: a hard link is the same, a directory is an error.
func TestSameBytesRefuses(t *testing.T) {
	a, b := twoDirs(t)
	mail, twin := open(t, filepath.Join(a.Name(), "mail")), open(t, filepath.Join(a.Name(), "twin"))
	if same, err := SameBytes(mail, twin); !same || err != nil {
		t.Errorf("hard link: %v, %v", same, err)
	}
	if same, err := SameBytes(a, b); same || err == nil {
		t.Errorf("directories: %v, %v, want an error", same, err)
	}
}

// temp makes an unlinked file; its position is at its end, which must not matter.
func temp(rt *rapid.T, dir string, data []byte) *os.File {
	f, err := os.CreateTemp(dir, "same")
	if err == nil {
		_, err = f.Write(data)
	}
	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		rt.Fatal(err)
	}
	return f
}

func twoDirs(t *testing.T) (a, b *os.File) {
	t.Helper()
	root := btrfstest.Shared(t).Subvolume(t, "live")
	pa, pb := filepath.Join(root, "a"), filepath.Join(root, "b")
	err := errors.Join(os.Mkdir(pa, 0o700), os.Mkdir(pb, 0o700), os.Mkdir(filepath.Join(pb, "dir"), 0o700))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(pa, "mail"), []byte("mail"))
	write(t, filepath.Join(pb, "taken"), []byte("taken"))
	err = errors.Join(os.Link(filepath.Join(pa, "mail"), filepath.Join(pa, "twin")), os.Symlink("mail", filepath.Join(pa, "symlink")))
	if err != nil {
		t.Fatal(err)
	}
	return open(t, pa), open(t, pb)
}

package tree

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

// mark makes a file, if it is not there, and sets the attribute of a placeholder.
func mark(t testing.TB, file, why string, mode os.FileMode) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fsetxattr(int(f.Fd()), RefusedXattr, []byte(why), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Chmod(mode); err != nil {
		t.Fatal(err)
	}
}

// TestPlaceholders: what was refused when a mirror was received is refused with
// the text that says why, in every place that a scan looks at, and is not taken
// for mail, for a table of keywords, or for a folder that has gone.
func TestPlaceholders(t *testing.T) {
	live := btrfstest.Shared(t).Subvolume(t, "live")
	build(t, live, "cur/", "new/", ".a/cur/", ".k/cur/", ".b/", "cur/ordinary", "cur/mode0")
	for file, why := range map[string]string{
		"cur/link": "symbolic link", "new/big:2,S": "longer than 200 MiB", "cur/two:2,:2,": "not shown",
		"cur/silent": "", ".k/dovecot-keywords": "FIFO", ".c": "device", ".b/cur": "socket", "plain": "not shown",
	} {
		mark(t, filepath.Join(live, file), why, 0)
	}
	mark(t, filepath.Join(live, "cur/readable"), "not shown", 0o400)
	mark(t, filepath.Join(live, "cur/sticky"), "not shown", os.ModeSticky)
	if err := os.Chmod(filepath.Join(live, "cur/mode0"), 0); err != nil {
		t.Fatal(err)
	}
	want := []string{"INBOX/", "a/", "b/", "k/", "INBOX: cur/mode0", "INBOX: cur/ordinary", "INBOX: cur/readable", "INBOX: cur/sticky",
		`! ".b/cur": socket`, `! ".c": device`, `! ".k/dovecot-keywords": FIFO`, `! "cur/link": symbolic link`,
		`! "cur/silent": refused when it was received`, `! "cur/two:2,:2,": holds more than one colon`, `! "new/big:2,S": longer than 200 MiB`}
	if d := cmp.Diff(want, show(scan(t, live, Layout{}))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestPlaceholdersReader: a Reader has nothing of a placeholder but its refusal.
func TestPlaceholdersReader(t *testing.T) {
	live := btrfstest.Shared(t).Subvolume(t, "live")
	build(t, live, "cur/", "cur/mail")
	mark(t, filepath.Join(live, "cur/link"), "symbolic link", 0)
	root, err := os.Open(live)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r, err := NewReader(root, Layout{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if f, links, err := r.File(Inbox, false, "link"); f != (File{}) || links != 0 || err != nil {
		t.Errorf("%+v, %d links, %v", f, links, err)
	}
	if files, err := r.Files(Inbox, false); len(files) != 1 || files[0].Name != "mail" || err != nil {
		t.Errorf("%+v, %v", files, err)
	}
	refused, _ := r.Refused()
	if d := cmp.Diff([]Refused{{"cur/link", "symbolic link"}, {"cur/link", "symbolic link"}}, refused); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestWhyOf: whoever sets the attribute writes no line of their own into a report.
func TestWhyOf(t *testing.T) {
	for value, want := range map[string]string{
		"symbolic link":           "symbolic link",
		"größer":                  "größer",
		"":                        unsaid,
		" \t ":                    " \ufffd ",
		"   ":                     unsaid,
		"a\x1b[31m\nb\x00":        "a\ufffd[31m\ufffdb\ufffd",
		"\xff\u202e":              "\ufffd\ufffd",
		strings.Repeat("x", 200):  strings.Repeat("x", 200),
		strings.Repeat("x", 201):  strings.Repeat("x", 197) + "…",
		strings.Repeat("ä", 4000): strings.Repeat("ä", 98) + "…",
	} {
		if got := whyOf(value); got != want || len(got) > maxWhy || !utf8.ValidString(got) {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

// TestLongXattr: the longest value that btrfs holds is read and cut.
func TestLongXattr(t *testing.T) {
	live := btrfstest.Shared(t).Subvolume(t, "live")
	build(t, live, "cur/")
	mark(t, filepath.Join(live, "cur/x"), strings.Repeat("x", 12_000), 0)
	got := scan(t, live, Layout{})
	if len(got.Refused) != 1 || len(got.Refused[0].Why) != maxWhy || len(got.Files) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestMirror: a mirror's file has the sender's ctime as its access time; all else,
// and what is stored of the layout, is as without.
func TestMirror(t *testing.T) {
	live := btrfstest.Shared(t).Subvolume(t, "live")
	build(t, live, "cur/", ".a/new/", "cur/x:2,S", ".a/new/y")
	sent := time.Unix(1450677467, 123456789)
	for i, name := range []string{"cur/x:2,S", ".a/new/y"} {
		if err := os.Chtimes(filepath.Join(live, name), sent.Add(time.Duration(i)), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	want := scan(t, live, Layout{})
	for i := range want.Files {
		want.Files[i].Ctime = sent.UnixNano() + int64(i)
	}
	if d := cmp.Diff(want, scan(t, live, Layout{Mirror: true})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	root, err := os.Open(live)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	r, err := NewReader(root, Layout{Mirror: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, _, err := r.File("a", true, "y")
	if err != nil || f != want.Files[1] {
		t.Errorf("%+v, %v, want %+v", f, err, want.Files[1])
	}
	files, err := r.Files(Inbox, false)
	if err != nil || len(files) != 1 || files[0] != want.Files[0] {
		t.Errorf("%+v, %v, want %+v", files, err, want.Files[0])
	}
	for _, l := range layouts {
		m := l
		m.Mirror = true
		dir, err := m.Dir("Äpfel/x")
		want, wantErr := l.Dir("Äpfel/x")
		if m.String() != l.String() || dir != want || (err == nil) != (wantErr == nil) {
			t.Errorf("%s: %s, %q, %v", l, m, dir, err)
		}
	}
}

package tree

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What was refused once is refused for as long as it is there and as it was: not
// when it has gone, nor when something good has its name.
func TestStillRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(rel string) string { return filepath.Join(dir, rel) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"cur", "new", "tmp", "cur/dir", ".plain", ".plain/cur"} {
		must(os.Mkdir(at(d), 0o700))
	}
	for _, f := range []string{"cur/good:2,S", "cur/a:b:c", "dovecot-keywords"} {
		must(os.WriteFile(at(f), []byte("mail"), 0o600))
	}
	for _, f := range []string{"cur/stands:2,S", ".stands"} {
		must(os.WriteFile(at(f), nil, 0o600))
		must(unix.Setxattr(at(f), RefusedXattr, []byte("symbolic link"), 0))
		must(os.Chmod(at(f), 0))
	}
	must(os.Symlink("good:2,S", at("cur/link:2,S")))
	must(unix.Mkfifo(at("cur/fifo:2,S"), 0o600))
	root, err := os.Open(dir)
	must(err)
	defer root.Close()
	r, err := NewReader(root, Layout{})
	must(err)
	defer r.Close()
	for _, test := range []struct {
		path, why string
		want      bool
	}{
		{"cur/gone:2,S", "symbolic link", false},
		{"cur/link:2,S", "symbolic link", true},
		{"cur/good:2,S", "symbolic link", false},
		{"cur/fifo:2,S", fileType(unix.S_IFIFO), true},
		{"cur/fifo:2,S", "symbolic link", false}, // it is met as what it is now
		{"cur/dir", fileType(unix.S_IFDIR), true},
		{"cur/stands:2,S", "symbolic link", true},
		{".stands", "symbolic link", true},
		{"cur/good:2,S", "larger than the limit of 4096 bytes", false},
		{"cur/a:b:c", "holds more than one colon", true},
		{".plain", Elsewhere, false},
		{".gone", Elsewhere, false},
		{"gone/cur/x:2,S", "symbolic link", false},
	} {
		got, err := r.StillRefused(Refused{Path: test.path, Why: test.why})
		if got != test.want || err != nil {
			t.Errorf("%q, refused as %q: %v, %v", test.path, test.why, got, err)
		}
	}
}

package reflink

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

// TestShare: a mirror's copy of a mail, in a read-only snapshot, has the extents
// of home's mail afterwards if the bytes are equal, and is left alone if not. Its
// content, and home's file, stay what they were.
func TestShare(t *testing.T) {
	big := randomBytes(300_000)
	other := bytes.Clone(big)
	other[200_000]++
	for _, tt := range []struct {
		name         string
		mirror, home []byte
		same, shared bool
	}{
		{"equal", big, big, true, true},
		{"one byte differs", other, big, false, false},
		{"shorter", big[:4096], big, false, false},
		{"equal, not a whole number of blocks", big[:5001], big[:5001], true, true},
		{"inline: nothing to share", big[:700], big[:700], true, false},
		{"inline, differs", other[200_000:200_700], big[200_000:200_700], false, false},
		{"empty", nil, nil, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs := btrfstest.Shared(t)
			name := filepath.Base(t.TempDir()) + tt.name[:2]
			home, live := fs.Subvolume(t, name+"/home"), fs.Subvolume(t, name+"/mirror")
			write(t, filepath.Join(home, "m"), tt.home)
			write(t, filepath.Join(live, "m"), tt.mirror)
			frozen := fs.Snapshot(t, live, name+"/mirror.ro")
			src, dst := open(t, filepath.Join(home, "m")), open(t, filepath.Join(frozen, "m"))
			var before, after unix.Stat_t
			if err := unix.Fstat(int(src.Fd()), &before); err != nil {
				t.Fatal(err)
			}
			homes := extents(t, src.Name())
			same, err := Share(dst, src)
			if same != tt.same || err != nil {
				t.Fatalf("%t, %v; want %t", same, err, tt.same)
			}
			if err := unix.Syncfs(int(src.Fd())); err != nil {
				t.Fatal(err)
			}
			// What is inline has no place of its own.
			if now := physical(extents(t, dst.Name())); len(tt.mirror) >= shareMin && reflect.DeepEqual(now, physical(extents(t, src.Name()))) != tt.shared {
				t.Errorf("extents of the mirror %v, of home %v", now, homes)
			}
			if err := unix.Fstat(int(src.Fd()), &after); err != nil || before.Mtim != after.Mtim || before.Ctim != after.Ctim || before.Ino != after.Ino {
				t.Errorf("home's file was touched: %+v, %+v, %v", before, after, err)
			}
			for _, f := range []struct {
				path string
				want []byte
			}{{src.Name(), tt.home}, {dst.Name(), tt.mirror}} {
				out, err := exec.Command("cat", f.path).Output()
				if err != nil || !bytes.Equal(out, f.want) {
					t.Errorf("%s has other bytes: %v", f.path, err)
				}
			}
		})
	}
}

// physical are the places on disk of extents that are no inline ones.
func physical(lines []string) (out []string) {
	for _, l := range lines {
		if f := strings.Fields(l); !strings.Contains(l, "inline") && len(f) > 3 {
			out = append(out, f[3])
		}
	}
	return out
}

package snapshot

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

// TestExclusive: a file of 1 MiB that only a snapshot has left is counted for it,
// and for nothing else; without quotas nobody knows.
func TestExclusive(t *testing.T) {
	fs := btrfstest.New(t, 512<<20)
	live := fs.Subvolume(t, "live")
	if _, err := Exclusive(live); !errors.Is(err, ErrNoUsage) {
		t.Fatalf("quotas are off: %v", err)
	}
	if _, err := Exclusive(t.TempDir()); !errors.Is(err, ErrNotBtrfs) && !errors.Is(err, ErrNoUsage) {
		t.Fatalf("not on btrfs: %v", err)
	}
	run(t, "btrfs", "quota", "enable", fs.Path)
	write(t, filepath.Join(live, "shared"), string(make([]byte, 3<<20)))
	write(t, filepath.Join(live, "gone"), string(make([]byte, 1<<20)))
	snap := fs.Snapshot(t, live, "snap")
	if err := os.Remove(filepath.Join(live, "gone")); err != nil {
		t.Fatal(err)
	}
	run(t, "btrfs", "quota", "rescan", "-w", fs.Path)
	f, err := os.Open(live)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	used, err := Exclusive(live)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]uint64{snap: 1 << 20, live: 0} {
		info, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		// Beside mail a subvolume has its own metadata, here less than 64 KiB.
		if got, ok := used[info.ID]; !ok || got < want || got > want+64<<10 {
			t.Errorf("%s holds %d bytes alone (%v), want %d", path, got, ok, want)
		}
	}
}

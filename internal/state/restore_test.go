package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/merge"
	"snapmerge/tree"
)

// TestRestoreFile: what was written comes back, unfinished and finished; a file
// that is damaged says so; names that only look like one are passed over.
func TestRestoreFile(t *testing.T) {
	path := t.TempDir()
	dir, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	r := &Restore{RestoreID: RestoreID{7, 2}, Mailbox: "chris", Asked: "--id caf\xe9", Who: "ann", Started: time.Unix(1450677467, 5).UTC(),
		Mails: []Restored{{Side: merge.Offline, Message: "caf\xe9", Copy: &SnapshotFile{"offline.7", "cur/caf\xe9:2,S"}, To: "INBOX", After: &Named{Name: "x", Keywords: []string{"todo"}}}}}
	check := func() {
		t.Helper()
		got, err := ReadRestore(dir, r.RestoreID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, got); d != "" {
			t.Error(d)
		}
	}
	if err := WriteRestore(dir, r); err != nil {
		t.Fatal(err)
	}
	check()
	if err := WriteRestore(dir, r); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one of the same number: %v", err)
	}
	r.Finished = r.Started.Add(time.Second)
	r.Mails[0].Effect, r.Mails[0].File = Done, &tree.File{Folder: "INBOX", Name: "x", Ino: 1<<64 - 1}
	if err := WriteRestore(dir, r); err != nil {
		t.Fatal(err)
	}
	check()
	for _, name := range []string{"restore.7.json", "restore.07.1.json", "restore.7.1.json.old", "restore.8.1.json"} {
		if err := os.WriteFile(filepath.Join(path, name), []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ids, err := ListRestores(dir)
	if d := cmp.Diff([]RestoreID{{7, 2}, {8, 1}}, ids); err != nil || d != "" {
		t.Error(err, d)
	}
	if _, err := ReadRestore(dir, RestoreID{8, 1}); !errors.Is(err, ErrDamaged) {
		t.Errorf("damaged: %v", err)
	}
	if _, err := ReadRestore(dir, RestoreID{9, 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

package crashtest

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
)

// TestIndexLost: before a sync something happens to the state directory. The end
// is the same: the index is only a cache of what lies beside the snapshots.
func TestIndexLost(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, w *world, index string)
	}{
		{"state directory deleted", func(t *testing.T, w *world, _ string) { must(t, os.RemoveAll(stateDir(w.dir))) }},
		{"index deleted", func(t *testing.T, _ *world, index string) { must(t, os.Remove(index)) }},
		{"index empty", func(t *testing.T, _ *world, index string) { must(t, os.Truncate(index, 0)) }},
		{"index cut off", func(t *testing.T, _ *world, index string) { must(t, os.Truncate(index, 5000)) }},
		{"not an index", func(t *testing.T, _ *world, index string) {
			must(t, os.WriteFile(index, []byte("Received: from mx"), 0o600))
		}},
		{"a page damaged", func(t *testing.T, _ *world, index string) {
			data, err := os.ReadFile(index)
			must(t, err)
			for i := 4096; i < 8192; i++ {
				data[i] ^= 0x55
			}
			must(t, os.WriteFile(index, data, 0o600))
		}},
		{"index of a newer version", func(t *testing.T, _ *world, index string) { execute(t, index, "PRAGMA user_version=99") }},
		{"index of another program", func(t *testing.T, _ *world, index string) {
			execute(t, index, "PRAGMA application_id=0; PRAGMA user_version=0")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := wantEnd(t, change{})
			w := prepare(t, btrfstest.Shared(t).Path)
			before := files(t, w.offline.path)
			tt.spoil(t, w, engine.IndexPath(stateDir(w.dir), "chris"))
			w.sync()
			compare(t, w.end(), want, true)
			w.untouched(before)
			w.settled()
		})
	}
}

// TestIndexOld: the index is a copy from before the last sync, as after a
// backup of the state directory has been restored.
func TestIndexOld(t *testing.T) {
	want := wantEnd(t, change{})
	w := newWorld(t, btrfstest.Shared(t).Path)
	index := engine.IndexPath(stateDir(w.dir), "chris")
	var old []byte
	w.toThird(func() {
		var err error
		if old, err = os.ReadFile(index); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	})
	must(t, os.WriteFile(index, old, 0o600))
	w.sync()
	compare(t, w.end(), want, true)
	w.settled()
}

// TestIndexNever: the state directory is deleted before each sync.
func TestIndexNever(t *testing.T) {
	want := wantEnd(t, change{})
	w := newWorld(t, btrfstest.Shared(t).Path)
	forget := func() { must(t, os.RemoveAll(stateDir(w.dir))) }
	w.toThird(forget)
	forget()
	w.sync()
	compare(t, w.end(), want, true)
	forget()
	w.settled()
}

// TestIndexLostAfterKill: a sync is killed, and the index is gone too.
func TestIndexLostAfterKill(t *testing.T) {
	want := wantEnd(t, change{})
	for _, k := range []kill{{"linkat", 9}, {"renameat2", 12}, {"syncfs", 1}, {"unlinkat", 30}, {"syncfs", 2}} {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			t.Parallel()
			w := prepare(t, btrfstest.Shared(t).Path)
			if !w.killedAt(k) {
				t.Error("the process was not killed")
			}
			must(t, os.RemoveAll(stateDir(w.dir)))
			w.sync()
			compare(t, w.end(), want, true)
			w.settled()
		})
	}
}

func execute(t *testing.T, index, script string) {
	t.Helper()
	conn, err := sqlite.OpenConn(index, sqlite.OpenReadWrite)
	must(t, err)
	must(t, errors.Join(sqlitex.ExecuteScript(conn, script, nil), conn.Close()))
}

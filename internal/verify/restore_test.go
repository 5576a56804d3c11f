package verify

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"snapmerge/internal/engine"
	"snapmerge/internal/state"
)

// TestRestoreInterrupted: the power failed after a restore had said what it was
// about to do. Placed or not, the next sync goes on as ever, the next restore
// has another number, and it is noted, no damage.
func TestRestoreInterrupted(t *testing.T) {
	for _, placed := range []bool{false, true} {
		w := newWorld(t)
		if placed {
			_, err := engine.Restore(context.Background(), w.mb, engine.RestoreOptions{Sync: 3})
			w.must(err)
			w.must(os.Remove(w.snap("restore.4.1.json")))
		}
		dir, err := os.Open(w.mb.Offline.Snapshots)
		w.must(err)
		defer dir.Close()
		w.must(state.WriteRestore(dir, &state.Restore{RestoreID: state.RestoreID{Sync: 4, N: 1}, Mailbox: "chris", Started: time.Now()}))
		res := w.verify(Options{})
		if len(res.Findings) > 0 || !strings.Contains(fmt.Sprint(res.Notes), "restore 4.1 was interrupted") {
			t.Errorf("placed %v: %+v", placed, res)
		}
		back, err := engine.Restore(context.Background(), w.mb, engine.RestoreOptions{Sync: 3})
		w.must(err)
		want := map[bool]string{false: "4.2", true: "4.0"}[placed] // all is there: nothing to be written
		if back.RestoreID.String() != want {
			t.Errorf("placed %v: restore %s, want %s", placed, back.RestoreID, want)
		}
		synced, err := engine.Sync(context.Background(), w.mb, w.stateDir, engine.Options{})
		w.must(err)
		if n := len(synced.Record.Report.Actions); n > 0 {
			t.Errorf("placed %v: the next sync did %+v", placed, synced.Record.Report.Actions)
		}
		if _, err := os.Stat(w.home("cur/2.b:2,F")); err != nil {
			t.Error(err)
		}
		if res := w.verify(Options{}); len(res.Findings) > 0 {
			t.Errorf("placed %v: %+v", placed, res.Findings)
		}
	}
}

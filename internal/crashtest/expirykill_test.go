package crashtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"snapmerge/internal/btrfstest"
)

// TestKillExpiry: a sync that expires mail is killed at a system call, in every
// place between the first mail that goes and the record. The next sync holds
// nothing, nothing has gone that is not at home, and what was due has gone.
func TestKillExpiry(t *testing.T) {
	var between atomic.Int32
	points := expiryPoints(t)
	if os.Getenv("SNAPMERGE_KILLS") != "all" {
		rng := random(t)
		rng.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		slices.SortStableFunc(points, func(a, b kill) int { // all of these
			return strings.Compare(b.call[:2], a.call[:2])
		})
		points = points[:min(30, len(points))]
	}
	t.Run("at", func(t *testing.T) {
		for _, k := range points {
			t.Run(k.String(), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, btrfstest.Shared(t).Path)
				retired(w, 4, 3)
				had := files(t, w.offline.path)
				if !w.killedAt(k) {
					t.Error("the process was not killed")
				}
				left := len(files(t, w.online.path))
				if _, err := os.Stat(filepath.Join(w.mb.Offline.Snapshots, "sync.3.json")); err != nil && left < 7 {
					between.Add(1)
				}
				res := w.sync()
				if len(res.Record.Pending.Held) > 0 {
					t.Errorf("held: %+v", res.Record.Pending.Held)
				}
				w.untouched(had)
				if now := len(files(t, w.offline.path)); now != 7 {
					t.Errorf("home has %d mails, want 7", now)
				}
				for _, f := range files(t, w.online.path) {
					if strings.HasPrefix(f.Key, "due") {
						t.Errorf("online still has %s", f.Key)
					}
				}
				if n := len(files(t, w.online.path)); n != 3 {
					t.Errorf("online has %d mails, want 3", n)
				}
				w.settled()
			})
		}
	})
	t.Logf("%d kill points, %d of them between an expiry and its record", len(points), between.Load())
	if between.Load() < 4 {
		t.Error("hardly any kill came between an expiry and its record")
	}
}

// expiryPoints are the kill points of that sync, and must be as many each time.
func expiryPoints(t *testing.T) []kill {
	w := newWorld(t, btrfstest.Shared(t).Path)
	retired(w, 4, 3)
	return killPoints(w.callsByName())
}

package crashtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
	"snapmerge/merge"
)

// TestRacing: both users go on without a pause, while one sync follows another.
// When they stop, two more syncs bring both stores to what the users did last.
// Each attribute of a mail is changed on one side only, so that this is known.
func TestRacing(t *testing.T) {
	rng := random(t)
	w := newWorld(t, btrfstest.Shared(t).Path)
	w.mb.Merge.DeletedOnline, w.mb.Merge.MaxDeletions = merge.Apply, 1000
	for _, f := range racingFolders[1:] {
		w.online.makeFolder(f)
	}
	for i := range 20 {
		for _, set := range []string{"flags", "moved-home", "moved-online", "deleted-home", "deleted-online"} {
			w.online.deliver(racingFolders[i%3], fmt.Sprintf("%s%02d", set, i), "", i)
		}
	}
	w.sync()
	home := &racer{store: w.offline, letter: "R", moves: "moved-home", deletes: "deleted-home", rng: rand.New(rand.NewPCG(rng.Uint64(), 1))}
	away := &racer{store: w.online, letter: "F", moves: "moved-online", deletes: "deleted-online", delivers: true, rng: rand.New(rand.NewPCG(rng.Uint64(), 2))}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, r := range []*racer{home, away} {
		wg.Go(func() { r.run(stop) })
	}
	raced, syncs := 0, 0
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); syncs++ {
		res, err := w.trySync(engine.Options{})
		if err != nil {
			t.Error(err)
			break
		}
		raced += res.Record.Report.Raced
	}
	close(stop)
	wg.Wait()
	w.sync()
	w.sync()
	t.Logf("%d changes at home, %d online; %d syncs, %d actions raced", home.done, away.done, syncs, raced)
	if raced == 0 || home.done < 100 || away.done < 100 || syncs < 5 {
		t.Error("hardly anything happened at the same time")
	}
	w.checkRaced(home, away)
	w.settled()
}

var racingFolders = []string{"INBOX", "work", "lists"}

// A racer is a user: it renames, moves, deletes as fast as it can, and notes
// what it did last.
type racer struct {
	store
	letter         string // the flag that it changes
	moves, deletes string // the mails that it moves and deletes
	delivers       bool
	rng            *rand.Rand

	done      int
	flags     map[string]bool
	folders   map[string]string
	deleted   map[string]bool
	delivered []string
}

func (r *racer) run(stop chan struct{}) {
	r.flags, r.folders, r.deleted = map[string]bool{}, map[string]string{}, map[string]bool{}
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(r.rng.IntN(3000)) * time.Microsecond):
			r.one()
		}
	}
}

// one makes a change, if the mail is where it was just seen.
func (r *racer) one() {
	if r.delivers && r.rng.IntN(10) == 0 {
		key := fmt.Sprintf("fresh%04d", len(r.delivered))
		r.deliver(r.folder(), key, "", 7)
		r.delivered = append(r.delivered, key)
		r.done++
		return
	}
	path := r.any()
	key := keyOf(path)
	switch set := strings.TrimRight(key, "0123456789"); {
	case path == "":
	case set == r.moves:
		to := r.folder()
		if os.Rename(path, filepath.Join(r.dirOf(to), "cur", filepath.Base(path))) == nil {
			r.folders[key] = to
			r.done++
		}
	case set == r.deletes:
		if r.rng.IntN(20) == 0 && os.Remove(path) == nil {
			r.deleted[key] = true
			r.done++
		}
	case strings.HasPrefix(set, "deleted"):
	default:
		_, info, _ := strings.Cut(path, ":2,")
		change, on := r.letter, true
		if strings.Contains(info, r.letter) {
			change, on = "-"+r.letter, false
		}
		if os.Rename(path, flagged(path, change)) == nil {
			r.flags[key] = on
			r.done++
		}
	}
}

func (r *racer) folder() string { return racingFolders[r.rng.IntN(len(racingFolders))] }

// any returns a random mail's path.
func (r *racer) any() string {
	dir := filepath.Join(r.dirOf(r.folder()), "cur")
	entries, _ := os.ReadDir(dir)
	if len(entries) == 0 {
		return ""
	}
	return filepath.Join(dir, entries[r.rng.IntN(len(entries))].Name())
}

// checkRaced compares both stores with what the users did.
func (w *world) checkRaced(home, away *racer) {
	w.t.Helper()
	for side, s := range w.sides() {
		v := look(w.t, s.path)
		seen := map[string]bool{}
		for _, m := range v.Mails {
			if seen[m.Key] {
				w.t.Errorf("%s: %s is there twice", side, m.Key)
			}
			seen[m.Key] = true
			if key, _ := strings.CutPrefix(m.Key, "fresh"); key != m.Key && m.Size != int64(len(body(m.Key, 7))) {
				w.t.Errorf("%s: %s has %d bytes", side, m.Key, m.Size)
			}
			if home.deleted[m.Key] || away.deleted[m.Key] {
				w.t.Errorf("%s: %s was deleted", side, m.Key)
			}
			for _, r := range []*racer{home, away} {
				if got := strings.Contains(m.Flags, r.letter); got != r.flags[m.Key] {
					w.t.Errorf("%s: %s has flags %q; letter %s was last set to %v", side, m.Key, m.Flags, r.letter, r.flags[m.Key])
				}
				if f := r.folders[m.Key]; f != "" && f != m.Folder {
					w.t.Errorf("%s: %s is in %s, was last moved to %s", side, m.Key, m.Folder, f)
				}
			}
		}
		if want := 100 + len(away.delivered) - len(home.deleted) - len(away.deleted); len(v.Mails) != want {
			w.t.Errorf("%s: %d mails, want %d", side, len(v.Mails), want)
		}
	}
}

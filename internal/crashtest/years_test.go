package crashtest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/merge"
)

// TestYears: what retention is for. Personal mail stays online for ever, a small
// list for a year, a big one for four months. At every sync of the years online
// holds exactly what these rules say, and home all but what the user has deleted,
// although there are flags, moves and deletions on both sides in between: no
// expiry is taken for a deletion, and no deletion for an expiry.
//
// By default there is a sync a week, and little mail. SNAPMERGE_YEARS=3 makes it
// daily syncs for so many years, and thirty mails a day.
func TestYears(t *testing.T) {
	// A tenth of the syncs and mails of the full one.
	years, step, perDay := 2, 8, 2
	if s := os.Getenv("SNAPMERGE_YEARS"); s != "" {
		var err error
		years, err = strconv.Atoi(s)
		must(t, err)
		step, perDay = 1, 28
	}
	y := &life{world: newWorld(t, btrfstest.Shared(t).Path), rng: random(t), mails: map[string]*letter{},
		clock: time.Date(2023, 1, 30, 4, 0, 0, 0, time.UTC)}
	y.t = t
	y.mb = y.configured()
	for _, f := range []string{"small", "big"} {
		y.online.makeFolder(f)
	}
	y.check("first")
	end := y.clock.AddDate(years, 0, 0)
	for y.clock.Before(end) {
		for range step {
			y.day(perDay)
		}
		y.acts(3)
		y.check(y.clock.Format(time.DateOnly))
	}
	t.Logf("%d mails, %d syncs, %+v", y.came, y.syncs, y.total)
	for what, n := range map[string]int{"expired": y.total.Expired, "deleted online": y.total.Deleted, "moved": y.total.Moved, "flags": y.total.Flagged} {
		if n == 0 {
			t.Errorf("%s: none, so this proves little", what)
		}
	}
}

// A life is a mailbox over the years, and what must be true of it.
type life struct {
	*world
	rng   *rand.Rand
	clock time.Time
	mails map[string]*letter // those that are somewhere
	came  int                // how many mails there ever were
	told  []string           // what the user did
	syncs int
	total tallied
}

type tallied struct{ Expired, Deleted, Moved, Flagged int }

// A letter is one mail: where it is, and whether online has it.
type letter struct {
	folder   string
	flagged  bool
	received time.Time
	online   bool
}

func (y *life) configured() (mb config.Mailbox) {
	mb = y.world.mb
	apply := merge.Apply
	mb.Merge.DeletedOnline = apply
	mb.Folders = []merge.Rule{
		{Match: "small", Keep: &merge.Keep{Unit: merge.KeepYears, N: 1}},
		{Match: "big", Keep: &merge.Keep{Unit: merge.KeepMonths, N: 4}},
	}
	mb.Rotate = config.Rotate{PreserveMin: "no", Preserve: "no"}
	return mb
}

// due tells by a calendar of its own whether a mail is too old for online.
func due(l letter, now time.Time) bool {
	months := map[string]int{"small": 12, "big": 4}[l.folder]
	if months == 0 || l.flagged {
		return false
	}
	y, m, d := l.received.Date()
	total := y*12 + int(m) - 1 + months
	y, m = total/12, time.Month(total%12+1)
	for time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Month() != m {
		d-- // the last day of a shorter month
	}
	h, mi, s := l.received.Clock()
	return time.Date(y, m, d, h, mi, s, 0, time.UTC).Before(now)
}

// day lets a day pass, and its mail come.
func (y *life) day(perDay int) {
	for range perDay {
		l := &letter{folder: "big", online: true, received: y.clock.Add(time.Duration(y.rng.IntN(86400)) * time.Second)}
		switch n := y.rng.IntN(28); {
		case n < 2:
			l.folder = "small"
		case n < 7:
			l.folder = "INBOX"
		}
		y.came++
		key := fmt.Sprintf("y%05d", y.came)
		l.flagged = y.rng.IntN(50) == 0
		info := ":2,S"
		if l.flagged {
			info = ":2,FS"
		}
		path := filepath.Join(y.online.dirOf(l.folder), "cur", key+info)
		must(y.t, os.WriteFile(path, []byte("From: "+key+"@example.org\n\n"+key+"\n"), 0o600))
		must(y.t, os.Chtimes(path, l.received, l.received))
		y.mails[key] = l
	}
	y.clock = y.clock.AddDate(0, 0, 1)
}

// acts lets the user do something with some mails, on either side.
func (y *life) acts(n int) {
	keys := slices.Sorted(maps.Keys(y.mails))
	busy := map[string]bool{}
	for range n {
		key := keys[y.rng.IntN(len(keys))]
		if y.rng.IntN(2) == 0 { // one that is due about now
			for _, k := range keys {
				if l := y.mails[k]; l != nil && l.online && due(*l, y.clock.AddDate(0, 0, 9)) {
					key = k
					break
				}
			}
		}
		if !busy[key] && y.mails[key] != nil {
			busy[key] = true
			y.act(key)
		}
	}
}

func (y *life) act(key string) {
	l, s := y.mails[key], y.offline
	online := l.online && y.rng.IntN(2) == 0
	if online {
		s = y.online
	}
	if s.find(l.folder, key) == "" {
		return // it came only now: not yet at home
	}
	kind := y.rng.IntN(4)
	y.told = append(y.told, fmt.Sprintf("%s: %s: %s %+v", y.clock.Format(time.DateOnly), filepath.Base(filepath.Dir(s.path)), [4]string{"flag", "flag", "move", "delete"}[kind]+" "+key, *l))
	switch kind {
	case 0, 1:
		if l.flagged {
			s.flag(l.folder, key, "-F")
		} else {
			s.flag(l.folder, key, "F")
		}
		l.flagged = !l.flagged
	case 2:
		to := []string{"INBOX", "small", "big"}[y.rng.IntN(3)]
		if to != l.folder {
			s.move(l.folder, key, to)
			l.folder = to
		}
	case 3:
		s.delete(l.folder, key)
		if online && (due(*l, y.clock) || y.offline.find(l.folder, key) == "") {
			// Its time was over: it counts as expired. Or it had come only now.
			l.online = false
			if y.offline.find(l.folder, key) != "" {
				return
			}
		}
		y.total.Deleted++
		delete(y.mails, key)
	}
}

// check syncs, and looks at both sides.
func (y *life) check(when string) {
	y.t.Helper()
	res, err := y.trySync(engine.Options{Now: func() time.Time { return y.clock }})
	must(y.t, err)
	y.syncs++
	rec := res.Record
	y.total.Expired += rec.Report.Online.Expired
	y.total.Moved += rec.Report.Online.Moved + rec.Report.Offline.Moved
	y.total.Flagged += rec.Report.Online.Flagged + rec.Report.Offline.Flagged
	if len(rec.Pending.Held)+len(res.Notes)+rec.Report.Raced > 0 {
		y.t.Fatalf("%s: held %+v, notes %q, raced %d", when, rec.Pending.Held, res.Notes, rec.Report.Raced)
	}
	want := [2]map[string]string{{}, {}}
	for key, l := range y.mails {
		at := l.folder + " S"
		if l.flagged {
			at = l.folder + " FS"
		}
		l.online = l.online && !due(*l, y.clock)
		want[merge.Offline][key] = at
		if l.online {
			want[merge.Online][key] = at
		}
	}
	for side, s := range [2]store{y.online, y.offline} {
		if d := cmp.Diff(want[side], shelfOf(y.t, s)); d != "" {
			y.t.Fatalf("%s: %v (-want +got):\n%s\n%s", when, merge.Side(side), d, strings.Join(y.told, "\n"))
		}
	}
}

// shelfOf reads where each mail of a store is, with its letters.
func shelfOf(t testing.TB, s store) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range []string{"INBOX", "small", "big"} {
		for _, n := range names(t, filepath.Join(s.dirOf(f), "cur")) {
			if _, twice := out[keyOf(n)]; twice {
				t.Fatalf("%s is twice in %s", n, s.path)
			}
			_, letters, _ := strings.Cut(n, ":2,")
			out[keyOf(n)] = f + " " + letters
		}
	}
	return out
}

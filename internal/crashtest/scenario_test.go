package crashtest

import (
	"fmt"
	"testing"
	"time"

	"snapmerge/internal/lock"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// The scenario: a mailbox that has been synced twice, and since then both users
// have done something of every kind. Its third sync has some sixty actions.

// prepare makes the stores and brings them to the moment before the third sync.
func prepare(t testing.TB, dir string) *world {
	t.Helper()
	w := newWorld(t, dir)
	w.toThird(func() {})
	return w
}

// toThird does all that comes before the third sync; beforeSync is called before
// the first two.
func (w *world) toThird(beforeSync func()) {
	w.t.Helper()
	w.fill()
	beforeSync()
	w.sync()
	w.removeForQuestions()
	beforeSync()
	w.sync()
	w.decide(map[string]merge.Side{
		"i01": merge.Online, "i02": merge.Online, // deleted online: delete at home
		"i03": merge.Offline, "i04": merge.Offline, // keep at home, archive only
		"i05": merge.Offline, // deleted online, moved at home: the state of home
		"i06": merge.Online,
		"a01": merge.Online, "a02": merge.Online, // deleted at home: put it back
		"a03": merge.Offline, "a04": merge.Offline, // delete online
	})
	w.changeOnline()
	w.changeOffline()
}

// fill delivers what both sides have after the first sync.
func (w *world) fill() {
	on := w.online
	for _, f := range []string{"work", "Trash", "ask", "news", "ren-on", "ren-off", "old-on", "old-off"} {
		on.makeFolder(f)
	}
	n := 0
	deliver := func(folder, prefix string, count int) {
		for i := range count {
			flags := ""
			if i%2 == 0 {
				flags = "S"
			}
			n++
			on.deliver(folder, fmt.Sprintf("%s%02d", prefix, i+1), flags, n)
		}
	}
	deliver("INBOX", "i", 38)
	deliver("work", "w", 4)
	deliver("Trash", "t", 4)
	deliver("ask", "a", 5)
	deliver("ren-on", "ro", 2)
	deliver("ren-off", "rf", 2)
	on.keyword("INBOX", "i13", "Altes")
	w.offline.deliver("INBOX", "h01", "S", 90)
}

// removeForQuestions makes the second sync hold ten and one mails.
func (w *world) removeForQuestions() {
	w.online.delete("INBOX", "i01", "i02", "i03", "i04", "i05", "i06", "i07")
	w.offline.move("INBOX", "i05", "work")
	w.offline.move("INBOX", "i06", "work")
	w.offline.delete("ask", "a01", "a02", "a03", "a04")
}

// decide answers the questions about these mails.
func (w *world) decide(take map[string]merge.Side) {
	w.t.Helper()
	dir := w.records()
	defer dir.Close()
	release, err := lock.Take(dir)
	must(w.t, err)
	defer release()
	rec, _, err := state.NewestRecord(dir)
	must(w.t, err)
	answers := map[string]state.Decided{}
	for _, h := range rec.Pending.Held {
		if side, ok := take[h.Message]; ok {
			answers[h.ID] = state.Decided{Decision: merge.Decision{State: h.State, Take: side}, Message: h.Message, At: time.Now()}
		}
	}
	if len(answers) != len(take) {
		w.t.Fatalf("%d questions to answer, found %d: %+v", len(take), len(answers), rec.Pending.Held)
	}
	must(w.t, state.Decide(dir, answers))
}

func (w *world) changeOnline() {
	on := w.online
	for i := range 6 {
		on.deliver("INBOX", fmt.Sprintf("n%02d", i+1), "", 100+i)
	}
	on.flag("INBOX", "n05", "FS")
	on.keyword("INBOX", "n06", "Neu")
	on.deliver("news", "n07", "", 107)
	on.deliver("news", "n08", "S", 108)
	on.deliver("INBOX", "n09", "S", 109)
	on.copy("INBOX", "n09", "work")
	on.makeFolder("proj")
	on.makeFolder("proj/alpha")
	on.deliver("proj/alpha", "n10", "", 110)
	on.deliver("Trash", "n11", "", 111)
	on.keyword("Trash", "n11", "Weg")
	on.arrive("INBOX", "n12", 112) // waits in new/

	on.move("INBOX", "i08", "work")
	on.move("INBOX", "i09", "work")
	on.move("INBOX", "i10", "proj/alpha")
	on.move("INBOX", "i11", "Trash")
	on.flag("Trash", "i11", "F")
	on.flag("INBOX", "i12", "F")
	on.flag("INBOX", "i13", "-S")
	on.flag("INBOX", "i14", "R")
	on.keyword("INBOX", "i15", "Wichtig")
	on.keyword("work", "w01", "Wichtig")
	on.copy("INBOX", "i16", "work")
	on.copy("INBOX", "i17", "proj")
	on.delete("Trash", "t01", "t02")
	on.renameFolder("ren-on", "renamed-on")
	on.flag("renamed-on", "ro01", "F")
	on.removeFolder("old-on")
	on.makeFolder("empty-on")
	// Both sides.
	on.flag("INBOX", "i30", "F")
	on.move("INBOX", "i31", "work")
	on.flag("INBOX", "i32", "R")
	on.keyword("INBOX", "i33", "Beide")
}

func (w *world) changeOffline() {
	off := w.offline
	off.flag("INBOX", "i18", "F")
	off.flag("INBOX", "i19", "-S")
	off.keyword("INBOX", "i20", "Privat")
	off.keyword("work", "w02", "Privat")
	off.move("INBOX", "i21", "work")
	off.move("INBOX", "i22", "Trash")
	off.makeFolder("home")
	off.move("INBOX", "i23", "home")
	off.copy("INBOX", "i24", "home")
	off.copy("INBOX", "i25", "work")
	off.move("INBOX", "i26", "news") // moves online too and is expired there
	off.delete("INBOX", "i27", "i28")
	off.delete("work", "w03")
	off.renameFolder("ren-off", "renamed-off")
	off.flag("renamed-off", "rf01", "R")
	off.removeFolder("old-off")
	off.deliver("INBOX", "h02", "", 120) // stays at home
	// Both sides.
	off.flag("INBOX", "i30", "R")
	off.move("INBOX", "i31", "Trash")
	off.move("INBOX", "i32", "home")
	off.keyword("INBOX", "i33", "Privat")
}

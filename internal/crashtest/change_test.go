package crashtest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"snapmerge/internal/state"
	"snapmerge/merge"
)

// A change is something that a user does between a killed sync and the next one.
// The next sync must bring it to the end that it would have had after an
// undisturbed sync: neither lost nor taken for the sync's own work.
type change struct {
	name string
	// do makes the change if what it is about is there.
	do func(w *world) bool
	// undoes names the step of the killed sync that the change takes back. Had
	// that been acknowledged, the change must count. If not, nobody can tell the
	// change from the step not having been done, and it may be done again.
	undoes *undone
}

type undone struct {
	side    merge.Side
	message string
	op      merge.Op
}

// changes are all of them, about messages of the scenario.
var changes = []change{
	{"delete a placed mail at home", func(w *world) bool { return w.offline.tryDelete("INBOX", "n01") },
		&undone{merge.Offline, "n01", merge.Place}},
	{"take back a flag at home", func(w *world) bool { return w.offline.tryFlag("INBOX", "i12", "F", "-F") },
		&undone{merge.Offline, "i12", merge.Flag}},
	{"take back a flag online", func(w *world) bool { return w.online.tryFlag("INBOX", "i18", "F", "-F") },
		&undone{merge.Online, "i18", merge.Flag}},
	{"move a moved mail back at home", func(w *world) bool { return w.offline.tryMove("work", "i08", "INBOX") },
		&undone{merge.Offline, "i08", merge.Move}},
	{"move a moved mail back online", func(w *world) bool { return w.online.tryMove("work", "i21", "INBOX") },
		&undone{merge.Online, "i21", merge.Move}},
	{"delete a copy at home", func(w *world) bool { return w.offline.tryDelete("work", "i16") },
		&undone{merge.Offline, "i16", merge.Copy}},
	{"delete a copy online", func(w *world) bool { return w.online.tryDelete("work", "i25") },
		&undone{merge.Online, "i25", merge.Copy}},
	{"delete a mail put back at home", func(w *world) bool { return w.offline.tryDelete("ask", "a01") },
		&undone{merge.Offline, "a01", merge.Place}},

	{"move a placed mail at home", func(w *world) bool { return w.offline.tryMove("INBOX", "n02", "work") }, nil},
	{"flag a placed mail at home", func(w *world) bool { return w.offline.tryFlag("INBOX", "n03", "", "R") }, nil},
	{"flag at home what moves there", func(w *world) bool {
		return w.offline.tryFlag("INBOX", "i09", "", "R") || w.offline.tryFlag("work", "i09", "", "R")
	}, nil},
	{"flag online what moves there", func(w *world) bool {
		return w.online.tryFlag("INBOX", "i23", "", "R") || w.online.tryFlag("home", "i23", "", "R")
	}, nil},
	{"unset seen at home where a keyword comes", func(w *world) bool { return w.offline.tryFlag("INBOX", "i15", "S", "-S") }, nil},
	{"new mail online", func(w *world) bool { w.online.deliver("INBOX", "x01", "", 200); return true }, nil},
	{"new mail at home", func(w *world) bool { w.offline.deliver("INBOX", "x02", "", 201); return true }, nil},
	{"delete online", func(w *world) bool { return w.online.tryDelete("INBOX", "i29") }, nil},
	{"delete at home", func(w *world) bool { return w.offline.tryDelete("INBOX", "i29") }, nil},
	{"copy at home", func(w *world) bool { w.offline.copy("INBOX", "i29", "Trash"); return true }, nil},
	{"new folder online", func(w *world) bool { w.online.makeFolder("later"); w.online.move("INBOX", "i29", "later"); return true }, nil},
}

func (s store) tryDelete(folder, key string) bool {
	p := s.find(folder, key)
	return p != "" && os.Remove(p) == nil
}

// tryFlag changes the flags of a mail that has the flag has.
func (s store) tryFlag(folder, key, has, change string) bool {
	p := s.find(folder, key)
	_, info, _ := strings.Cut(p, ":2,")
	return p != "" && strings.Contains(info, has) && os.Rename(p, flagged(p, change)) == nil
}

func (s store) tryMove(from, key, to string) bool {
	p := s.find(from, key)
	return p != "" && os.Rename(p, filepath.Join(s.dirOf(to), "cur", filepath.Base(p))) == nil
}

// acknowledged tells whether a step of the killed sync counts as done for good:
// the journal says so, or the sync had come to its end.
func (w *world) acknowledged(u *undone) bool {
	w.t.Helper()
	dir := w.records()
	defer dir.Close()
	in, acks, err := state.ReadJournal(dir)
	if errors.Is(err, state.ErrNoIntent) {
		return true
	}
	must(w.t, err)
	for _, a := range acks {
		for _, res := range a.Results {
			s := in.Steps[res.Step].Action
			if s != nil && s.Side == u.side && s.Message == u.message && s.Op == u.op && res.Effect == state.Done {
				return true
			}
		}
	}
	return false
}

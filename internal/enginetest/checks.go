package enginetest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/state"
	"snapmerge/merge"
)

func (w *world) fail(guarantee, format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s: %s\n%s", guarantee, fmt.Sprintf(format, args...), w.story())
}

// checkMails: G2 and G4. Every mail is on both sides where the table says, with
// the flags and keywords that it says.
func (w *world) checkMails(fc forecast, got map[int][2]places) {
	w.t.Helper()
	for _, mail := range slices.Sorted(maps.Keys(got)) {
		for _, side := range merge.Sides {
			want, is := inWords(fc.mails[mail].want[side]), inWords(got[mail][side])
			if d := cmp.Diff(want, is); d != "" {
				w.fail("G2, G4", "mail %d %s (-want +got):\n%s", mail, side, d)
			}
		}
	}
}

func inWords(ps places) map[string]string {
	out := map[string]string{}
	for f, p := range ps {
		out[f] = p.attrs.String()
	}
	return out
}

func (w *world) checkFolders(fc forecast, after [2]shelf) {
	w.t.Helper()
	for _, side := range merge.Sides {
		want := slices.Sorted(maps.Keys(fc.folders[side]))
		if d := cmp.Diff(want, after[side].names()); d != "" {
			w.fail("G4", "folders %s (-want +got):\n%s", side, d)
		}
	}
}

// checkHeld: what waits is what the oracle holds, with the same kind.
func (w *world) checkHeld(fc forecast, rec *state.Record) {
	w.t.Helper()
	want, got := map[int]merge.Kind{}, map[int]merge.Kind{}
	moves, met := 0, 0
	for mail, v := range fc.mails {
		if v.kind != "" {
			want[mail] = v.kind
		}
		if v.moveMove {
			moves++
		}
	}
	for _, h := range rec.Pending.Held {
		got[w.known(h.Message)] = h.Kind
	}
	if d := cmp.Diff(want, got); d != "" {
		w.fail("held", "(-want +got):\n%s", d)
	}
	for _, c := range rec.Report.Met {
		if c.Kind == merge.MoveMove {
			met++
		}
	}
	if met != moves || rec.Report.Held != len(want) {
		w.fail("G8", "%d move-move and %d held, want %d and %d", met, rec.Report.Held, moves, len(want))
	}
}

// checkFiles: G1 and G3. No file that is still there was touched, and what is
// gone from home is in the snapshot of this sync and in the report.
func (w *world) checkFiles(rec *state.Record, before, after [2]shelf) {
	w.t.Helper()
	for _, side := range merge.Sides {
		now := map[uint64]file{}
		for _, f := range after[side].files {
			now[f.ino] = f
		}
		was := map[uint64]bool{}
		for _, f := range before[side].files {
			was[f.ino] = true
			g, there := now[f.ino]
			if !there && side == offline {
				w.checkRestorable(rec, f)
			}
			if there && (g.size != f.size || g.mtime != f.mtime || g.uid != f.uid) {
				w.fail("G3", "%s: mail %d was touched: %+v, then %+v", side, f.mail, f, g)
			}
			if there {
				w.checkBody("G3", side, g)
			}
		}
		for _, f := range after[side].files {
			if was[f.ino] {
				continue
			}
			if side == online {
				w.fail("G3", "online has a new file: %+v", f)
			}
			w.checkBody("G2", side, f)
			if m := w.mails[f.mail]; f.mtime != m.received || f.uid != mailUID {
				w.fail("G2", "mail %d came home with mtime %d and owner %d, want %d and %d", f.mail, f.mtime, f.uid, m.received, mailUID)
			}
		}
	}
}

func (w *world) checkBody(guarantee string, side merge.Side, f file) {
	w.t.Helper()
	body, err := os.ReadFile(w.path(side, f))
	w.must(err)
	if sum(body) != sum(w.mails[f.mail].body) {
		w.fail(guarantee, "%s: mail %d has other bytes", side, f.mail)
	}
}

// checkRestorable: a file that is gone from home was deleted by the sync's own
// word, and its snapshot has it. Dovecot's names in snapshots are those before
// the sync.
func (w *world) checkRestorable(rec *state.Record, f file) {
	w.t.Helper()
	told := slices.ContainsFunc(rec.Report.Actions, func(a state.ReportAction) bool {
		return a.Side == offline && a.Op == "delete" && a.Effect == state.Done && a.Before != nil && a.Before.Name == f.name
	})
	if !told {
		w.fail("G1", "mail %d is gone from home and the report does not say so: %+v", f.mail, f)
	}
	s := w.stores[offline]
	s.root = filepath.Join(s.snapshots, rec.Snapshots[offline])
	body, err := os.ReadFile(filepath.Join(s.path(f.folder), f.sub(), f.name))
	if err != nil || sum(body) != sum(w.mails[f.mail].body) {
		w.fail("G1", "mail %d is gone from home and not in the snapshot: %v", f.mail, err)
	}
}

// checkReport: G8. What the report says was done turns the files that were
// there before into those that are there now, each action does something, and
// the counts count them.
func (w *world) checkReport(rec *state.Record, before, after [2]shelf) {
	w.t.Helper()
	for _, side := range merge.Sides {
		var n state.Counts
		is := namesOf(before[side])
		for _, a := range rec.Report.Actions {
			if a.Effect != state.Done {
				w.fail("G8", "nobody interferes, and yet: %+v", a)
			}
			if a.Side == side {
				w.replay(is, a, &n)
				n.ExpiredBytes += a.Freed
			}
		}
		if d := cmp.Diff(is, namesOf(after[side])); d != "" {
			w.fail("G8", "%s: the report's actions lead elsewhere (-report +disk):\n%s", side, d)
		}
		counts := [2]state.Counts{rec.Report.Online, rec.Report.Offline}[side]
		if counts != n {
			w.fail("G8", "%s: counts %+v, actions %+v", side, counts, n)
		}
	}
	w.checkExpiry(rec, after[online])
	if rec.Report.Raced != 0 || rec.Report.Refused != 0 {
		w.fail("G8", "raced or refused: %+v", rec.Report.Totals)
	}
}

// checkExpiry: by folder, an archive family being one, the report has what went and
// the date of the oldest mail that is there now.
func (w *world) checkExpiry(rec *state.Record, after shelf) {
	w.t.Helper()
	want := map[string]state.Expiry{}
	for _, a := range rec.Report.Actions {
		if a.Op == "expire" {
			f := w.oracle.family(a.From)
			e := want[f]
			want[f] = state.Expiry{Folder: f, Mails: e.Mails + 1, Bytes: e.Bytes + a.Freed}
		}
	}
	for _, f := range after.files {
		e, ok := want[w.oracle.family(f.folder)]
		if at := time.Unix(0, f.mtime).UTC(); ok && (e.Oldest.IsZero() || at.Before(e.Oldest)) {
			e.Oldest = at
			want[e.Folder] = e
		}
	}
	got := map[string]state.Expiry{}
	for _, e := range rec.Report.Expiry {
		got[e.Folder] = e
	}
	if d := cmp.Diff(want, got); d != "" {
		w.fail("G8", "expired by folder (-want +got):\n%s", d)
	}
}

// namesOf has "folder/name" with its attributes, and folders with a slash at the end.
func namesOf(sh shelf) map[string]string {
	out := map[string]string{}
	for f := range sh.folders {
		out[f+"//"] = "folder"
	}
	for _, f := range sh.files {
		out[f.folder+"//"+f.name] = f.attrs.String()
	}
	return out
}

// replay does on paper what an action says.
func (w *world) replay(names map[string]string, a state.ReportAction, n *state.Counts) {
	w.t.Helper()
	size := len(names)
	from, to := a.From+"//", a.To+"//"
	if a.Before != nil {
		from += a.Before.Name
	}
	said := ""
	if a.After != nil {
		to += a.After.Name
		said = saidAttrs(*a.After).String()
	}
	old, was := names[from]
	_, taken := names[to]
	bad := a.From != "" && !was || a.To != "" && taken && from != to
	switch a.Op {
	case "place", "copy":
		names[to] = said
		if a.Op == "place" {
			n.Placed++
		} else {
			n.Copied++
		}
	case "move", "flag":
		delete(names, from)
		names[to] = said
		if a.Op == "move" {
			n.Moved++
		} else {
			n.Flagged++
		}
		bad = bad || (a.Op == "flag") != (a.From == a.To) || a.Op == "flag" && old == said
	case "delete", "expire":
		delete(names, from)
		if a.Op == "delete" {
			n.Deleted++
		} else {
			n.Expired++
		}
	case "make-folder", "remove-folder":
		n.Folders++
		delete(names, from)
		if a.To != "" {
			names[to] = "folder"
		}
	case "rename-folder":
		n.Folders++
		for name := range maps.Clone(names) {
			if rest, ok := strings.CutPrefix(name, from); ok {
				names[to+rest] = names[name]
				delete(names, name)
			}
		}
	}
	grown := map[string]int{"place": 1, "copy": 1, "make-folder": 1, "delete": -1, "expire": -1, "remove-folder": -1}[a.Op]
	if bad || len(names) != size+grown {
		w.fail("G8", "the report has an action that can not be: %+v\nBefore %+v After %+v", a, a.Before, a.After)
	}
}

func saidAttrs(n state.Named) (a attrs) {
	for i := range firstWord {
		if n.Flags&(1<<i) != 0 {
			a |= 1 << i
		}
	}
	for _, k := range n.Keywords {
		if i := slices.Index(keywordNames, k); i >= 0 {
			a |= 1 << (firstWord + i)
		}
	}
	return a
}

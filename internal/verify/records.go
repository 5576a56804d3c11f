package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
)

// checkRecords reads everything that lies beside home's snapshots.
func (v *verifier) checkRecords(context.Context) error {
	dir := v.hosts.Dir
	if err := v.checkNames(); err != nil {
		return err
	}
	var err error
	if v.syncs, err = state.ListRecords(dir); err != nil {
		return err
	}
	newest := 0
	for _, n := range v.syncs {
		rec, err := state.ReadRecord(dir, n)
		if err != nil {
			v.unread("record-damaged", fmt.Sprintf("sync.%d.json", n), err)
			continue
		}
		v.Records++
		v.checkRecord(rec, newest)
		v.records[n] = &known{[2]string{rec.Stores[merge.Online].Snapshot, rec.Stores[merge.Offline].Snapshot}}
		v.rec, newest = rec, n
	}
	if err := v.checkRestores(); err != nil {
		return err
	}
	return v.checkJournal()
}

// unread is the finding about a file that can not be read.
func (v *verifier) unread(code Code, name string, err error) {
	if errors.Is(err, state.ErrVersion) {
		code = "record-newer"
	}
	v.found(code, name, "%v", err)
}

// checkNames looks for what has a name of snapmerge's and is something else.
func (v *verifier) checkNames() error {
	entries, err := os.ReadDir(v.hosts.Dir.Name())
	if err != nil {
		return err
	}
	for _, e := range entries {
		_, _, isSnap := snapshot.ParseName(strings.TrimSuffix(e.Name(), snapshot.Part))
		file := e.Name() == "journal" || e.Name() == "decisions.json" ||
			(strings.HasPrefix(e.Name(), "sync.") || strings.HasPrefix(e.Name(), "restore.")) && strings.HasSuffix(e.Name(), ".json")
		switch {
		case file && !e.Type().IsRegular():
			v.found("not-ours", e.Name(), "it is no regular file")
		case isSnap && !e.IsDir():
			v.found("not-ours", e.Name(), "it is no snapshot")
		case isSnap:
			if _, err := snapshot.Read(v.hosts.Dir.Name() + "/" + e.Name()); errors.Is(err, snapshot.ErrNotSubvolume) {
				v.found("not-ours", e.Name(), "it is a plain directory")
			}
		}
	}
	return nil
}

func (v *verifier) checkRecord(rec *state.Record, before int) {
	name := fmt.Sprintf("sync.%d.json", rec.Sync)
	if rec.Mailbox != v.mb.Name {
		v.found("record-mailbox", name, "it is of mailbox %q", rec.Mailbox)
	}
	if rec.Previous > 0 && !slices.Contains(v.syncs, rec.Previous) {
		v.found("record-missing", fmt.Sprintf("sync.%d.json", rec.Previous), "sync %d came after sync %d, of which there is no record", rec.Sync, rec.Previous)
	}
	t := rec.Report.Totals
	if said, is := (counted{[2]state.Counts{t.Online, t.Offline}, t.Raced}), countOf(rec.Report.Actions); said != is {
		v.found("record-counts", name, "it counts %+v, and its actions are %+v", said, is)
	}
	for i, a := range rec.Report.Actions {
		if why := impossible(a); why != "" {
			v.found("record-action", name, "action %d, %s of %q: %s", i+1, a.Op, a.Message, why)
		}
	}
}

// counted is what a report counts of its actions.
type counted struct {
	sides [2]state.Counts
	raced int
}

// countOf counts actions as a report does: what was done, several files of a mail
// in a folder once.
func countOf(actions []state.ReportAction) (out counted) {
	seen := map[state.ReportAction]bool{}
	for _, a := range actions {
		id := state.ReportAction{Side: a.Side, Op: a.Op, Message: a.Message, From: a.From, To: a.To}
		if seen[id] {
			continue
		}
		seen[id] = true
		c := &out.sides[a.Side]
		field := map[string]*int{"place": &c.Placed, "copy": &c.Copied, "move": &c.Moved, "flag": &c.Flagged, "delete": &c.Deleted, "expire": &c.Expired,
			"subscribe": &c.Subscriptions, "unsubscribe": &c.Subscriptions}[a.Op]
		if field == nil {
			field = &c.Folders
		}
		switch a.Effect {
		case state.Done:
			*field++
			if a.Op == "expire" {
				c.ExpiredBytes += a.Freed
			}
		case state.Raced:
			out.raced++
		}
	}
	return out
}

// impossible says why an action can not be, "" if it can.
func impossible(a state.ReportAction) string {
	adds, takes := a.Op == "place" || a.Op == "copy", a.Op == "delete" || a.Op == "expire"
	switch {
	case !slices.Contains([]state.Effect{state.Done, state.Raced, state.Failed}, a.Effect):
		return fmt.Sprintf("effect %q", a.Effect)
	case strings.HasSuffix(a.Op, "-folder"), strings.HasSuffix(a.Op, "subscribe"):
		return ""
	case !adds && !takes && a.Op != "move" && a.Op != "flag":
		return "there is no such action"
	case adds && a.To == "" || takes && (a.From == "" || a.To != "") || !adds && a.From == "":
		return fmt.Sprintf("from folder %q to folder %q", a.From, a.To)
	case a.Effect == state.Done && !takes && a.After == nil, takes && a.Before == nil:
		return "it says nothing of the file"
	case a.Side == merge.Online && a.Op == "place" || a.Side == merge.Offline && a.Op == "expire":
		return "no sync does that on this side"
	}
	return ""
}

func (v *verifier) checkRestores() error {
	ids, err := state.ListRestores(v.hosts.Dir)
	if err != nil {
		return err
	}
	for _, id := range ids {
		r, err := state.ReadRestore(v.hosts.Dir, id)
		switch {
		case err != nil:
			v.unread("restore-damaged", "restore "+id.String(), err)
		case r.Finished.IsZero():
			v.note("restore %s was interrupted: what it did is not known", id)
		}
	}
	return nil
}

func (v *verifier) checkJournal() error {
	in, _, err := state.ReadJournal(v.hosts.Dir)
	switch {
	case errors.Is(err, state.ErrNoIntent):
	case err != nil:
		v.unread("journal-damaged", "journal", err)
	case v.rec == nil || in.Sync > v.rec.Sync:
		v.running = in
		v.note("sync %d was interrupted: the next sync finishes its work", in.Sync)
	}
	if _, err := state.ReadDecisions(v.hosts.Dir); err != nil {
		v.unread("decisions-damaged", "decisions.json", err)
	}
	return nil
}

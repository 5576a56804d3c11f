package report

import (
	"fmt"
	"math"
	"strings"
	"text/tabwriter"

	"snapmerge/internal/state"
)

// A Log is the past syncs of a mailbox, the newest last.
type Log struct {
	Mailbox  string
	Syncs    []state.Summary
	Restores []*state.Restore // between them, in their order
}

// LogText is a table of past syncs.
func LogText(l Log, st Style) string {
	var b strings.Builder
	b.WriteString(st.paint(bold, Word(l.Mailbox)) + "\n")
	if len(l.Syncs)+len(l.Restores) == 0 {
		b.WriteString("  never synced\n")
		return b.String()
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "  SYNC\tWHEN\tTOOK\tHOME\tONLINE\tHELD\n")
	restores := l.Restores
	until := func(sync int) {
		for ; len(restores) > 0 && restores[0].Sync < sync; restores = restores[1:] {
			r := restores[0]
			fmt.Fprintf(w, "  %s\t%s\t-\t%s\t-\t-\n", r.RestoreID, st.time(r.Started), restoredCount(r))
		}
	}
	for _, s := range l.Syncs {
		until(s.Sync)
		fmt.Fprintf(w, "  %d\t%s\t%s\t%s\t%s\t%d\n", s.Sync, st.time(s.Started), seconds(s.Seconds),
			orDash(counts(s.Offline)), orDash(counts(s.Online)), s.Held)
	}
	until(math.MaxInt)
	w.Flush()
	return b.String()
}

func restoredCount(r *state.Restore) string {
	if r.Finished.IsZero() {
		return "restore interrupted"
	}
	return fmt.Sprintf("%d restored", restoreCounts(r)[state.Done])
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// LogOneText is one past sync in full, and the restores that came after it.
func LogOneText(mailbox string, r *state.Record, restores []*state.Restore, st Style) string {
	s := Sync{Mailbox: mailbox, Record: r}
	head := fmt.Sprintf(": sync %d, %s, in %s", r.Sync, st.time(r.Started), seconds(r.Report.Seconds))
	text := st.paint(bold, Word(mailbox)) + head + s.body(true, st)
	for _, n := range r.Report.Notes {
		text += "  " + st.paint(yellow, Clean(n)) + "\n"
	}
	for _, x := range restores {
		text += fmt.Sprintf("restore %s, %s, by %s: %s\n", x.RestoreID, st.time(x.Started), Word(x.Who), restoredCount(x))
		if x.Asked != "" {
			text += "  asked for: " + Clean(x.Asked) + "\n"
		}
		text += restoreLines(x)
	}
	return text
}

type logJSON struct {
	Mailbox  string        `json:"mailbox"`
	Syncs    []*recordJSON `json:"syncs"`
	Restores []restoreJSON `json:"restores"`
}

func (l *logJSON) addRestores(list []*state.Restore) {
	l.Restores = []restoreJSON{}
	for _, r := range list {
		l.Restores = append(l.Restores, restoreFields(r))
	}
}

// LogJSON is the document of "log --json".
func LogJSON(list []Log) string {
	out := []logJSON{}
	for _, l := range list {
		j := logJSON{Mailbox: l.Mailbox, Syncs: []*recordJSON{}}
		j.addRestores(l.Restores)
		for _, s := range l.Syncs {
			j.Syncs = append(j.Syncs, summaryFields(s))
		}
		out = append(out, j)
	}
	return logDocument(out)
}

// LogOneJSON is the document of "log N --json": the record of one sync of each
// mailbox that has it, and the restores that came after it.
func LogOneJSON(records []*state.Record, restores [][]*state.Restore) string {
	out := []logJSON{}
	for i, r := range records {
		f := fullFields(r)
		f.Notes = jsonTexts(r.Report.Notes)
		f.addDetails(r.Report)
		j := logJSON{Mailbox: r.Mailbox, Syncs: []*recordJSON{f}}
		j.addRestores(restores[i])
		out = append(out, j)
	}
	return logDocument(out)
}

func logDocument(list []logJSON) string {
	return document(struct {
		Version   int       `json:"version"`
		Mailboxes []logJSON `json:"mailboxes"`
	}{1, list})
}

// fullFields are those of a record that was read as a whole.
func fullFields(r *state.Record) *recordJSON {
	f := summaryFields(state.Summary{Meta: r.Meta, Started: r.Started, Finished: r.Finished, Totals: r.Report.Totals})
	f.setWhole(r)
	return f
}

func summaryFields(s state.Summary) *recordJSON {
	r := recordFields(s.Meta, s.Totals)
	started, finished := s.Started, s.Finished
	r.Started, r.Finished = &started, &finished
	return r
}

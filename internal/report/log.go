package report

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"snapmerge/internal/state"
)

// A Log is the past syncs of a mailbox, the newest last.
type Log struct {
	Mailbox string
	Syncs   []state.Summary
}

// LogText is a table of past syncs.
func LogText(l Log, st Style) string {
	var b strings.Builder
	b.WriteString(st.paint(bold, Word(l.Mailbox)) + "\n")
	if len(l.Syncs) == 0 {
		b.WriteString("  never synced\n")
		return b.String()
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "  SYNC\tWHEN\tTOOK\tHOME\tONLINE\tHELD\n")
	for _, s := range l.Syncs {
		fmt.Fprintf(w, "  %d\t%s\t%s\t%s\t%s\t%d\n", s.Sync, st.time(s.Started), seconds(s.Seconds),
			orDash(counts(s.Offline)), orDash(counts(s.Online)), s.Held)
	}
	w.Flush()
	return b.String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// LogOneText is one past sync in full.
func LogOneText(mailbox string, r *state.Record, st Style) string {
	s := Sync{Mailbox: mailbox, Record: r}
	head := fmt.Sprintf(": sync %d, %s, in %s", r.Sync, st.time(r.Started), seconds(r.Report.Seconds))
	return st.paint(bold, Word(mailbox)) + head + s.body(true, st)
}

type logJSON struct {
	Mailbox string        `json:"mailbox"`
	Syncs   []*recordJSON `json:"syncs"`
}

// LogJSON is the document of "log --json".
func LogJSON(list []Log) string {
	out := []logJSON{}
	for _, l := range list {
		j := logJSON{l.Mailbox, []*recordJSON{}}
		for _, s := range l.Syncs {
			j.Syncs = append(j.Syncs, summaryFields(s))
		}
		out = append(out, j)
	}
	return logDocument(out)
}

// LogOneJSON is the document of "log N --json": the record of one sync of each
// mailbox that has it.
func LogOneJSON(records []*state.Record) string {
	out := []logJSON{}
	for _, r := range records {
		f := fullFields(r)
		f.addDetails(r.Report)
		out = append(out, logJSON{r.Mailbox, []*recordJSON{f}})
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
	f.setFailed(r)
	return f
}

func summaryFields(s state.Summary) *recordJSON {
	r := recordFields(s.Meta, s.Totals)
	started, finished := s.Started, s.Finished
	r.Started, r.Finished = &started, &finished
	return r
}

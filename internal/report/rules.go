package report

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// Rules are what the configuration says of the folders of a mailbox.
type Rules struct {
	Mailbox  string
	Last     *state.Record // nil: there was no sync yet
	Now      time.Time
	Forecast *engine.Forecast // nil: nothing is known
	// Unknown: only the rules are known, not the mail.
	Unknown bool
	Err     error
}

// RulesText has a line for every folder.
func RulesText(r Rules, st Style) string {
	var b strings.Builder
	b.WriteString(st.paint(bold, Word(r.Mailbox)))
	switch {
	case r.Last == nil && r.Err != nil:
		return ""
	case r.Last == nil:
		return b.String() + ": never synced\n"
	}
	fmt.Fprintf(&b, ": as of sync %d, %s\n", r.Last.Sync, st.time(r.Last.Started))
	if r.Forecast == nil {
		return b.String()
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "  FOLDER\tDUE NOW\tNEXT\tRULE\n")
	for _, f := range r.Forecast.Folders {
		due := "-"
		switch {
		case r.Unknown:
			due = "?"
		case f.Due > 0:
			due = plural(f.Due, "mail", "mails") + ", " + Bytes(uint64(f.DueBytes))
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", Word(f.Folder), due, r.next(f, st), Clean(f.Retention.String()))
	}
	w.Flush()
	for _, n := range r.Forecast.Notes {
		b.WriteString("  " + st.paint(yellow, Clean(n)) + "\n")
	}
	return b.String()
}

// next is the first thing that will be due in a folder, with its date.
func (r Rules) next(f engine.FolderRule, st Style) string {
	if r.Unknown {
		return "?"
	}
	at, what := f.Next, "expires"
	for _, side := range homeFirst {
		if t := f.Filed[side]; !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at, what = t, "filed "+map[merge.Side]string{merge.Offline: "at home", merge.Online: "online"}[side]
		}
	}
	switch {
	case at.IsZero():
		return "-"
	case !at.After(r.Now):
		return "now " + what
	}
	return st.time(at) + " " + what
}

type rulesJSON struct {
	Mailbox string            `json:"mailbox"`
	Sync    int               `json:"sync"` // 0: never synced
	Folders *[]folderRuleJSON `json:"folders"`
	Notes   []string          `json:"notes"`
	Error   string            `json:"error,omitempty"`
}

type folderRuleJSON struct {
	Folder      string   `json:"folder"`
	Family      string   `json:"family"` // the base folder, "" if it is of no family
	Rule        int      `json:"rule"`   // from 1; 0: none matches
	Match       string   `json:"match"`
	Skip        bool     `json:"skip"`
	Keep        string   `json:"keep"`
	KeepFlagged bool     `json:"keep_flagged"`
	KeepFrom    []string `json:"keep_from"`
	// The patterns, "" for none.
	ArchiveOnline  string `json:"archive_online"`
	ArchiveOffline string `json:"archive_offline"`
	// null: not known.
	Due      *int   `json:"due"`
	DueBytes *int64 `json:"due_bytes"`
	// null: never, or not known.
	NextExpiry  *time.Time `json:"next_expiry"`
	NextOnline  *time.Time `json:"next_filed_online"`
	NextOffline *time.Time `json:"next_filed_offline"`
}

// RulesJSON is the document of "status --rules --json".
func RulesJSON(list []Rules) string {
	doc := struct {
		Version   int         `json:"version"`
		Mailboxes []rulesJSON `json:"mailboxes"`
	}{1, []rulesJSON{}}
	for _, r := range list {
		out := rulesJSON{Mailbox: r.Mailbox, Notes: []string{}}
		if r.Last != nil {
			out.Sync = r.Last.Sync
		}
		if r.Err != nil {
			out.Error = jsonText(r.Err.Error())
		}
		if r.Forecast != nil {
			out.Notes = append(out.Notes, r.Forecast.Notes...)
			out.Folders = &[]folderRuleJSON{}
			for _, f := range r.Forecast.Folders {
				*out.Folders = append(*out.Folders, r.folder(f))
			}
		}
		doc.Mailboxes = append(doc.Mailboxes, out)
	}
	return document(doc)
}

func (r Rules) folder(f engine.FolderRule) folderRuleJSON {
	out := folderRuleJSON{
		Folder: jsonText(f.Folder), Family: jsonText(f.Base), Rule: f.Rule + 1, Match: f.Match, Skip: f.Skip,
		Keep: f.Keep.String(), KeepFlagged: f.KeepFlagged, KeepFrom: jsonTexts(f.KeepFrom),
		ArchiveOnline: string(f.Archive[merge.Online]), ArchiveOffline: string(f.Archive[merge.Offline]),
	}
	if r.Unknown {
		return out
	}
	out.Due, out.DueBytes = &f.Due, &f.DueBytes
	at := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	out.NextExpiry, out.NextOnline, out.NextOffline = at(f.Next), at(f.Filed[merge.Online]), at(f.Filed[merge.Offline])
	return out
}

package report

import (
	"time"

	"snapmerge/internal/state"
	"snapmerge/merge"
)

// SyncJSON is the document of "sync --json"; verbose adds the actions.
func SyncJSON(list []Sync, verbose bool) string {
	doc := struct {
		Version   int        `json:"version"`
		Mailboxes []syncJSON `json:"mailboxes"`
	}{1, []syncJSON{}}
	for _, s := range list {
		doc.Mailboxes = append(doc.Mailboxes, s.json(verbose))
	}
	return document(doc)
}

// syncJSON is one mailbox; without a record only the error is there.
type syncJSON struct {
	Mailbox string `json:"mailbox"`
	*recordJSON
	Error string `json:"error,omitempty"`
}

type recordJSON struct {
	Sync    int     `json:"sync"`
	DryRun  bool    `json:"dry_run"`
	Offline counted `json:"offline"`
	Online  counted `json:"online"`

	Held          int     `json:"held"`
	Conflicts     int     `json:"conflicts"`
	Raced         int     `json:"raced"`
	Failed        *int    `json:"failed,omitempty"` // left out where only a summary was read
	Refused       int     `json:"refused"`
	WaitingInNew  int     `json:"waiting_in_new"`
	ReceivedBytes int64   `json:"received_bytes"`
	Seconds       float64 `json:"seconds"`

	// MaxDeletions is what was given for this sync alone; left out: nothing was.
	MaxDeletions *int          `json:"max_deletions,omitempty"`
	Decided      []decidedJSON `json:"decided,omitempty"` // answers acted on

	Snapshots   map[string]string `json:"snapshots"`
	Interrupted int               `json:"interrupted,omitempty"`
	Stale       map[string]int    `json:"stale,omitempty"`
	Notes       []string          `json:"notes,omitempty"`
	Hook        string            `json:"hook,omitempty"`   // "done", or why it failed
	Stages      []stageJSON       `json:"stages,omitempty"` // in their order; receive runs beside others
	Started     *time.Time        `json:"started,omitempty"`
	Finished    *time.Time        `json:"finished,omitempty"`
	Expiry      []expiryJSON      `json:"expiry,omitempty"`
	Actions     *[]actionJSON     `json:"actions,omitempty"`
	Met         *[]metJSON        `json:"met,omitempty"`
}

type stageJSON struct {
	Stage   string  `json:"stage"`
	Seconds float64 `json:"seconds"`
}

type counted struct {
	Placed  int  `json:"placed"`
	Copied  int  `json:"copied"`
	Moved   int  `json:"moved"`
	Flagged int  `json:"flagged"`
	Deleted int  `json:"deleted"`
	Folders int  `json:"folders"`
	Expired *int `json:"expired,omitempty"` // online only
	// ExpiredBytes are online only.
	ExpiredBytes  *int64 `json:"expired_bytes,omitempty"`
	Subscriptions int    `json:"subscriptions,omitempty"`
}

// An expiryJSON is what was expired in a folder.
type expiryJSON struct {
	Folder string     `json:"folder"`
	Mails  int        `json:"mails"`
	Bytes  int64      `json:"bytes"`
	Oldest *time.Time `json:"oldest"` // of the mail that is left; null: none is
}

type actionJSON struct {
	Side     string   `json:"side"`
	Op       string   `json:"op"`
	Message  string   `json:"message"`
	From     string   `json:"from"`
	To       string   `json:"to"`
	Before   *string  `json:"flags_before"` // null: there was nothing
	Flags    *string  `json:"flags"`        // null: nothing is left
	Keywords []string `json:"keywords"`
	Had      []string `json:"keywords_before"`
	Name     string   `json:"name"`        // of the file, "" if it is gone
	NameWas  string   `json:"name_before"` // "" if there was none
	Copy     *copyAt  `json:"copy"`        // of a deleted mail; null: none is known
	Rule     string   `json:"rule"`
	Effect   string   `json:"effect"`
	Why      string   `json:"why"`
}

// A copyAt is where a mail can be read, for as long as that snapshot is kept.
type copyAt struct {
	Snapshot string `json:"snapshot"`
	Path     string `json:"path"`
}

type decidedJSON struct {
	ID      string    `json:"id"`
	Message string    `json:"message"`
	Take    string    `json:"take"`
	Who     string    `json:"who"`
	At      time.Time `json:"at"`
}

type metJSON struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Note    string `json:"note"`
}

func (s Sync) json(verbose bool) syncJSON {
	out := syncJSON{Mailbox: s.Mailbox}
	if s.Err != nil {
		out.Error = jsonText(s.Err.Error())
	}
	if s.Record == nil {
		return out
	}
	r := recordFields(s.Record.Meta, s.Record.Report.Totals)
	r.DryRun, r.Interrupted, r.Notes = s.DryRun, s.Interrupted, jsonTexts(s.Notes)
	r.Hook = jsonText(s.Hook)
	r.setWhole(s.Record)
	if s.DryRun {
		r.Snapshots = map[string]string{} // they are gone again
	}
	r.Stale = map[string]int{}
	for f, n := range s.Stale {
		r.Stale[jsonText(f)] = n
	}
	if verbose {
		r.addDetails(s.Record.Report)
		for _, st := range s.Stages {
			r.Stages = append(r.Stages, stageJSON{st.Name, st.Took.Seconds()})
		}
	}
	out.recordJSON = r
	return out
}

func recordFields(m state.Meta, t state.Totals) *recordJSON {
	r := &recordJSON{
		Sync: m.Sync, Offline: count(t.Offline), Online: count(t.Online),
		Held: t.Held, Conflicts: t.Conflicts, Raced: t.Raced, Refused: t.Refused,
		WaitingInNew: t.WaitingInNew, ReceivedBytes: t.ReceivedBytes, Seconds: t.Seconds,
		Snapshots: map[string]string{},
	}
	r.Online.Expired, r.Online.ExpiredBytes = &t.Online.Expired, &t.Online.ExpiredBytes
	for _, side := range merge.Sides {
		r.Snapshots[side.String()] = m.Snapshots[side]
	}
	return r
}

// setWhole sets what takes more of a record than its summary.
func (r *recordJSON) setWhole(rec *state.Record) {
	n := Sync{Record: rec}.Failed()
	r.Failed, r.MaxDeletions = &n, rec.Report.MaxDeletions
	for _, e := range rec.Report.Expiry {
		j := expiryJSON{Folder: jsonText(e.Folder), Mails: e.Mails, Bytes: e.Bytes}
		if !e.Oldest.IsZero() {
			j.Oldest = &e.Oldest
		}
		r.Expiry = append(r.Expiry, j)
	}
}

func (r *recordJSON) addDetails(rep state.Report) {
	r.Actions, r.Met = &[]actionJSON{}, &[]metJSON{}
	for _, a := range rep.Actions {
		*r.Actions = append(*r.Actions, actionOf(a))
	}
	for _, id := range ordered(rep.Decided) {
		d := rep.Decided[id]
		r.Decided = append(r.Decided, decidedJSON{id, jsonText(d.Message), d.Take.String(), jsonText(d.Who), d.At})
	}
	for _, c := range rep.Met {
		*r.Met = append(*r.Met, metJSON{c.ID, string(c.Kind), jsonText(c.Message), jsonText(c.Note)})
	}
}

func count(c state.Counts) counted {
	return counted{Placed: c.Placed, Copied: c.Copied, Moved: c.Moved, Flagged: c.Flagged, Deleted: c.Deleted, Folders: c.Folders, Subscriptions: c.Subscriptions}
}

func actionOf(a state.ReportAction) actionJSON {
	out := actionJSON{
		Side: a.Side.String(), Op: a.Op, Message: jsonText(a.Message), From: jsonText(a.From), To: jsonText(a.To),
		Keywords: []string{}, Had: []string{}, Rule: a.Rule, Effect: string(a.Effect), Why: jsonText(a.Why),
	}
	if a.Before != nil {
		f := a.Before.Flags.String()
		out.Before, out.Had, out.NameWas = &f, jsonTexts(a.Before.Keywords), jsonText(a.Before.Name)
	}
	if a.After != nil {
		f := a.After.Flags.String()
		out.Flags, out.Keywords, out.Name = &f, jsonTexts(a.After.Keywords), jsonText(a.After.Name)
	}
	if a.Copy != nil {
		out.Copy = &copyAt{a.Copy.Snapshot, jsonText(a.Copy.Path)}
	}
	return out
}

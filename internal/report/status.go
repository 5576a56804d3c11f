package report

import (
	"fmt"
	"strings"
	"time"

	"snapmerge/internal/state"
	"snapmerge/merge"
)

// A Status is how a mailbox stands.
type Status struct {
	Mailbox string
	Last    *state.Record  // nil: there was no sync yet
	Items   []Item         // what waits, and what was decided since
	Stale   map[string]int // as in Sync
	// Interrupted is a sync that left its journal: one that was killed or,
	// with Running, one that is at work now. 0: none.
	Interrupted int
	Running     bool
	Sides       [2]SideStatus
	Known       bool  // Items and Interrupted could be read
	Err         error // what else there is may be incomplete
}

// A SideStatus is how one store stands.
type SideStatus struct {
	Stored    *state.Stored // as the last sync left it; nil: unknown
	Changed   *bool         // since its snapshot of the last sync; nil: unknown
	Snapshots int
	Oldest    time.Time // of the oldest snapshot, zero if there is none
	Free      *uint64   // bytes that an ordinary user can still write there; nil: unknown
	// Alone is the sum of what each snapshot holds that nothing else holds: the
	// least that deleting them all would free. Known only with quota groups.
	Alone      uint64
	AloneKnown bool
}

// waiting counts what waits for a decision, by kind.
func (s Status) waiting() map[merge.Kind]int {
	out := map[merge.Kind]int{}
	for _, it := range s.Items {
		if it.Decided == nil {
			out[it.Kind]++
		}
	}
	return out
}

// StatusText is a mailbox's status.
func StatusText(s Status, st Style) string {
	var b strings.Builder
	b.WriteString(st.paint(bold, Word(s.Mailbox)) + ": ")
	if s.Last == nil {
		b.WriteString("never synced\n")
	} else {
		fmt.Fprintf(&b, "sync %d, %s, in %s", s.Last.Sync, st.time(s.Last.Finished), seconds(s.Last.Report.Seconds))
		b.WriteString(lastCounts(s.Last.Report.Totals))
	}
	switch {
	case s.Running:
		fmt.Fprintf(&b, "  sync %d is at work now\n", s.Interrupted)
	case s.Interrupted > 0:
		b.WriteString("  " + st.paint(yellow, fmt.Sprintf("sync %d was interrupted: the next sync finishes its work", s.Interrupted)) + "\n")
	}
	b.WriteString(s.waits(st))
	for _, side := range homeFirst {
		if line := s.side(side, st); line != "" {
			b.WriteString(sideLine(side, line))
		}
	}
	return b.String()
}

func lastCounts(t state.Totals) string {
	s := ""
	for _, side := range homeFirst {
		if c := counts(countsOf(t, side)); c != "" {
			s += sideLine(side, c)
		}
	}
	if s == "" {
		return ": nothing to do\n"
	}
	return "\n" + s
}

func (s Status) waits(st Style) string {
	var b strings.Builder
	if n := (Sync{Record: s.Last}).Failed(); n > 0 {
		b.WriteString("  " + st.paint(red, plural(n, "not done, tried again next time", "not done, tried again next time")) + "\n")
	}
	waiting := s.waiting()
	for _, k := range merge.Kinds {
		if n := waiting[k]; n > 0 {
			text := fmt.Sprintf("%s: %s", k, plural(n, "waits for a decision", "wait for a decision"))
			b.WriteString("  " + st.paint(yellow, text) + "\n")
		}
	}
	if n := len(s.Items) - Undecided(s.Items); n > 0 {
		fmt.Fprintf(&b, "  %d decided: the next sync acts on it\n", n)
	}
	if s.Last != nil && s.Last.Report.WaitingInNew > 0 {
		fmt.Fprintf(&b, "  %s in online's new/ for a mail client\n", plural(s.Last.Report.WaitingInNew, "waited", "waited"))
	}
	for _, f := range ordered(s.Stale) {
		b.WriteString("  " + staleLine(f, s.Stale[f]) + "\n")
	}
	return b.String()
}

// side says what is known of one store. A sync takes its snapshots before it
// changes anything, so its own changes are among those since.
func (s Status) side(side merge.Side, st Style) string {
	x := s.Sides[side]
	var parts []string
	if x.Stored != nil {
		parts = append(parts, storedText(x.Stored))
	}
	if x.Changed != nil {
		text := "unchanged since"
		if *x.Changed {
			text = "changed since"
			if countsOf(s.Last.Report.Totals, side) != (state.Counts{}) {
				text += fmt.Sprintf(" (by sync %d at least)", s.Last.Sync)
			}
		}
		parts = append(parts, text)
	}
	first := strings.Join(parts, "; ")
	parts = nil
	if x.Snapshots > 0 {
		text := plural(x.Snapshots, "snapshot", "snapshots") + ", the oldest of " + st.time(x.Oldest)
		if x.AloneKnown {
			text += ", with " + Bytes(x.Alone) + " of their own"
		}
		parts = append(parts, text)
	}
	if x.Free != nil {
		parts = append(parts, Bytes(*x.Free)+" free")
	}
	second := strings.Join(parts, "; ")
	if first == "" || second == "" {
		return first + second
	}
	return first + "\n          " + second
}

type statusJSON struct {
	Mailbox      string         `json:"mailbox"`
	Last         *recordJSON    `json:"last"` // null: never synced
	Interrupted  int            `json:"interrupted"`
	Running      bool           `json:"running"`
	Waiting      map[string]int `json:"waiting"` // by kind
	Decided      int            `json:"decided"`
	Stale        map[string]int `json:"stale"`
	Online       sideStatusJSON `json:"online"`
	Offline      sideStatusJSON `json:"offline"`
	StatusFailed string         `json:"error,omitempty"`
}

type sideStatusJSON struct {
	Mails     *int       `json:"mails"`      // files, as the last sync left them; null: unknown
	MailBytes *int64     `json:"mail_bytes"` // their length
	Changed   *bool      `json:"changed"`
	Snapshots int        `json:"snapshots"`
	Oldest    *time.Time `json:"oldest"`
	Free      *uint64    `json:"free_bytes"`      // null: unknown
	Alone     *uint64    `json:"exclusive_bytes"` // null: btrfs does not tell
}

// StatusJSON is the document of "status --json".
func StatusJSON(list []Status) string {
	doc := struct {
		Version   int          `json:"version"`
		Mailboxes []statusJSON `json:"mailboxes"`
	}{1, []statusJSON{}}
	for _, s := range list {
		doc.Mailboxes = append(doc.Mailboxes, s.json())
	}
	return document(doc)
}

func (s Status) json() statusJSON {
	out := statusJSON{
		Mailbox: s.Mailbox, Interrupted: s.Interrupted, Running: s.Running,
		Waiting: map[string]int{}, Decided: len(s.Items) - Undecided(s.Items), Stale: map[string]int{},
		Online: s.Sides[merge.Online].json(), Offline: s.Sides[merge.Offline].json(),
	}
	if s.Last != nil {
		out.Last = fullFields(s.Last)
	}
	for k, n := range s.waiting() {
		out.Waiting[string(k)] = n
	}
	for f, n := range s.Stale {
		out.Stale[jsonText(f)] = n
	}
	if s.Err != nil {
		out.StatusFailed = jsonText(s.Err.Error())
	}
	return out
}

func (x SideStatus) json() sideStatusJSON {
	out := sideStatusJSON{Changed: x.Changed, Snapshots: x.Snapshots, Free: x.Free}
	if x.Stored != nil {
		out.Mails, out.MailBytes = &x.Stored.Mails, &x.Stored.Bytes
	}
	if x.AloneKnown {
		out.Alone = &x.Alone
	}
	if !x.Oldest.IsZero() {
		out.Oldest = &x.Oldest
	}
	return out
}

package report

import (
	"fmt"
	"strings"
	"time"

	"snapmerge/internal/engine"
	"snapmerge/internal/state"
)

// A Restored is what became of a restore; without a Restoration only Err is there.
type Restored struct {
	Mailbox string
	*engine.Restoration
	Err error
}

// Missed counts the mails that were asked for and are not there.
func (r Restored) Missed() int {
	if r.Restoration == nil {
		return 0
	}
	return missed(r.Restore)
}

func missed(r *state.Restore) (n int) {
	for _, m := range r.Mails {
		if m.Effect != state.Done && m.Effect != state.There && m.Effect != "" {
			n++
		}
	}
	return n
}

// RestoreText says what was brought back, a line a mail.
func RestoreText(r Restored, st Style) string {
	if r.Restoration == nil {
		return ""
	}
	head := ": nothing to bring back\n"
	switch c := restoreCounts(r.Restore); {
	case r.DryRun && c[""] > 0:
		head = fmt.Sprintf(": would bring back %s (nothing was changed)\n", plural(c[""], "mail", "mails"))
	case c[state.Done] > 0:
		head = fmt.Sprintf(": restore %s brought back %s\n", r.RestoreID, plural(c[state.Done], "mail", "mails"))
	}
	return st.paint(bold, Word(r.Mailbox)) + head + restoreLines(r.Restore)
}

// restoreCounts counts mails by what became of them: one that came back on either
// side has come back.
func restoreCounts(r *state.Restore) map[state.Effect]int {
	type mail struct{ message, to string }
	best := map[mail]state.Effect{}
	for _, m := range r.Mails {
		id := mail{m.Message, m.To}
		if was, ok := best[id]; !ok || was == state.There || m.Effect == state.Done || m.Effect == "" && was != state.Done {
			best[id] = m.Effect
		}
	}
	out := map[state.Effect]int{}
	for _, effect := range best {
		out[effect]++
	}
	return out
}

func restoreLines(r *state.Restore) string {
	var b strings.Builder
	for _, m := range r.Mails {
		b.WriteString(sideLine(m.Side, restoredMail(m, r.Finished.IsZero())))
	}
	return b.String()
}

// restoredMail is "restore 1.M2P3.host INBOX  FS [work]  from offline.7".
func restoredMail(m state.Restored, open bool) string {
	text := "restore " + Word(m.Message)
	if m.To != "" {
		text += " " + Word(m.To)
	}
	if m.After != nil {
		text += "  " + flags(m.After.Flags)
		if len(m.After.Keywords) > 0 {
			text += " [" + words(m.After.Keywords) + "]"
		}
	}
	if m.Copy != nil {
		text += "  from " + Word(m.Copy.Snapshot)
	}
	switch m.Effect {
	case state.Done:
	case state.There:
		text += "  there already"
	case state.Lost:
		text += "  lost"
	case "":
		if !open {
			text += "  unknown"
		}
	default:
		text += "  " + effect(m.Effect)
	}
	if m.Why != "" {
		text += ": " + Clean(m.Why)
	}
	return text
}

type restoredJSON struct {
	Side     string   `json:"side"`
	Message  string   `json:"message"`
	To       string   `json:"to"`
	Flags    *string  `json:"flags"` // null: not known
	Keywords []string `json:"keywords"`
	Snapshot *string  `json:"snapshot"` // null: none has it
	Effect   string   `json:"effect"`   // done, there, lost, raced, failed; "" before it is known
	Why      string   `json:"why"`
}

type restoreJSON struct {
	Mailbox  string         `json:"mailbox"`
	Restore  *string        `json:"restore"` // null: nothing was changed
	DryRun   bool           `json:"dry_run"`
	Asked    string         `json:"asked"`
	Who      string         `json:"who"`
	Started  *time.Time     `json:"started,omitempty"`
	Finished *time.Time     `json:"finished"` // null: interrupted, or nothing was changed
	Mails    []restoredJSON `json:"mails"`
	Notes    []string       `json:"notes,omitempty"`
	Error    string         `json:"error,omitempty"`
}

func restoreFields(r *state.Restore) restoreJSON {
	out := restoreJSON{Mailbox: r.Mailbox, Asked: jsonText(r.Asked), Who: jsonText(r.Who), Started: &r.Started, Mails: []restoredJSON{}}
	if r.N > 0 {
		id := r.RestoreID.String()
		out.Restore = &id
	}
	if !r.Finished.IsZero() {
		out.Finished = &r.Finished
	}
	for _, m := range r.Mails {
		j := restoredJSON{Side: m.Side.String(), Message: jsonText(m.Message), To: jsonText(m.To), Keywords: []string{}, Effect: string(m.Effect), Why: jsonText(m.Why)}
		if m.After != nil {
			f := m.After.Flags.String()
			j.Flags, j.Keywords = &f, jsonTexts(m.After.Keywords)
		}
		if m.Copy != nil {
			j.Snapshot = &m.Copy.Snapshot
		}
		out.Mails = append(out.Mails, j)
	}
	return out
}

// RestoreJSON is the document of "restore --json".
func RestoreJSON(r Restored) string {
	out := restoreJSON{Mailbox: r.Mailbox, Mails: []restoredJSON{}}
	if r.Restoration != nil {
		out = restoreFields(r.Restore)
		out.DryRun, out.Notes = r.DryRun, jsonTexts(r.Notes)
	}
	if r.Err != nil {
		out.Error = jsonText(r.Err.Error())
	}
	return document(struct {
		Version int `json:"version"`
		restoreJSON
	}{1, out})
}

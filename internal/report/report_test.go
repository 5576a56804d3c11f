package report

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/internal/verify"
	"snapmerge/merge"
	"snapmerge/tree"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with testdata/NAME.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), text); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

var noon = time.Date(2015, 12, 21, 12, 0, 0, 0, time.UTC)

func placed(folder string, f tree.Flags, keywords ...string) tree.Placement {
	return tree.Placement{Folder: folder, Flags: f, Keywords: keywords}
}

// fullRecord has an action of every kind and every effect.
func fullRecord() *state.Record {
	named := func(f tree.Flags, keywords ...string) *state.Named {
		return &state.Named{Flags: f, Keywords: keywords}
	}
	rep := state.Report{
		Totals: state.Totals{
			Offline: state.Counts{Placed: 1, Copied: 1, Moved: 1, Flagged: 1, Deleted: 1, Folders: 1},
			Online:  state.Counts{Moved: 2, Expired: 3, ExpiredBytes: 4_400_000},
			Held:    2, Conflicts: 1, Raced: 1, Refused: 1, WaitingInNew: 4, ReceivedBytes: 48211, Seconds: 0.41,
		},
		Notes:  []string{"1 mail not expired, received in the future by this clock"},
		Expiry: []state.Expiry{{Folder: "lists", Mails: 2, Bytes: 4_000_000, Oldest: noon.AddDate(0, -4, 0)}, {Folder: "my lists", Mails: 1, Bytes: 400_000}},
		Met: []merge.Conflict{
			{ID: "aaaaaaaaaaaa", Kind: merge.MoveMove, Message: "5.e"},
			{ID: "bbbbbbbbbbbb", Kind: merge.DeletedOnline, Message: "6.f", Note: "too many deletions in one sync"},
		},
		Actions: []state.ReportAction{
			{Side: merge.Offline, Op: "make-folder", To: "my lists", Effect: state.Done},
			{Side: merge.Offline, Op: "place", Message: "1.a", To: "INBOX", Rule: "1", After: named(tree.Seen), Effect: state.Done},
			{Side: merge.Offline, Op: "copy", Message: "2.b", To: "my lists", Rule: "15", After: named(0, "work", "to do"), Effect: state.Done},
			{Side: merge.Offline, Op: "move", Message: "3.c", From: "INBOX", To: "work", Rule: "4", Before: named(tree.Seen), After: named(tree.Seen | tree.Flagged), Effect: state.Done},
			{Side: merge.Offline, Op: "flag", Message: "4.d", From: "work", To: "work", Rule: "6", Before: named(0), After: named(tree.Seen), Effect: state.Done},
			{Side: merge.Offline, Op: "delete", Message: "5.e", From: "work", Rule: "9", Before: named(tree.Seen, "todo"), Effect: state.Done,
				Copy: &state.SnapshotFile{Snapshot: "offline.7", Path: ".work/cur/5.e:2,Sa"}},
			{Side: merge.Online, Op: "move", Message: "7.g", From: "INBOX", To: "work", Rule: "5", Before: named(0), After: named(0), Effect: state.Raced, Why: "name taken"},
			{Side: merge.Online, Op: "expire", Message: "8.h", From: "lists", Rule: "7", Before: named(0), Effect: state.Failed, Why: "not begun"},
			{Side: merge.Online, Op: "expire", Message: "9.i", From: "lists", Rule: "18", Before: named(0), Effect: state.Done, Why: "done by sync 6, which was interrupted"},
		},
	}
	meta := state.Meta{Mailbox: "chris", Sync: 7, Snapshots: [2]string{"online.7", "offline.7"}}
	return &state.Record{Meta: meta, Started: noon, Finished: noon.Add(time.Second), Report: rep}
}

// fullRestore has a mail of every effect.
func fullRestore() *state.Restore {
	named := func(f tree.Flags, keywords ...string) *state.Named {
		return &state.Named{Name: "x", Flags: f, Keywords: keywords}
	}
	at := &state.SnapshotFile{Snapshot: "offline.7", Path: ".work/cur/5.e:2,S"}
	return &state.Restore{
		RestoreID: state.RestoreID{Sync: 7, N: 1}, Mailbox: "chris", Asked: "--sync 7 --online", Who: "ann", Started: noon, Finished: noon.Add(time.Second),
		Mails: []state.Restored{
			{Side: merge.Offline, Message: "5.e", Copy: at, To: "work", After: named(tree.Seen, "todo"), Effect: state.Done, File: &tree.File{Name: "5.e:2,Sa"}},
			{Side: merge.Offline, Message: "6.f", Copy: at, To: "my lists", After: named(0), Effect: state.There, Why: `it is in "work"`},
			{Side: merge.Offline, Message: "7.g", To: "work", Effect: state.Lost, Why: "no snapshot that is kept has it"},
			{Side: merge.Offline, Message: "8.h", Copy: at, To: "work", After: named(tree.Flagged), Effect: state.Raced, Why: "name taken"},
			{Side: merge.Offline, Message: "9.i", Copy: at, To: "work", After: named(tree.Flagged), Effect: state.Failed, Why: "not begun"},
			{Side: merge.Online, Message: "5.e", Copy: at, To: "work", After: named(tree.Seen, "todo"), Effect: state.Done},
		},
	}
}

func TestRestore(t *testing.T) {
	r := Restored{"chris", &engine.Restoration{Restore: fullRestore(), Notes: []string{"a note"}}, nil}
	dry := Restored{"chris", &engine.Restoration{Restore: &state.Restore{Mails: fullRestore().Mails[:1]}, DryRun: true}, nil}
	dry.Mails[0].Effect = ""
	none := Restored{"chris", &engine.Restoration{Restore: &state.Restore{Mails: fullRestore().Mails[1:2]}}, nil}
	golden(t, "restore.txt", RestoreText(r, Style{})+RestoreText(dry, Style{})+RestoreText(none, Style{}))
	golden(t, "restore.json", RestoreJSON(r)+RestoreJSON(dry)+RestoreJSON(Restored{Mailbox: "ann", Err: errors.New("no such disk")}))
	if n := r.Missed(); n != 3 {
		t.Errorf("%d missed, want 3: lost, taken, not done", n)
	}
}

// evil is what a store may hold to confuse a terminal or a parser.
const evil = "x\x1b]0;owned\a\r\n\u202eab\u2066\u009b31m\x00\xff\xfe\u200b \t\"\\ ->  end"

func TestVerify(t *testing.T) {
	kind := verify.Kinds[0]
	bad := Verified{"chris", &verify.Result{Records: 3, Snapshots: 1, Mails: 2, Digests: 2, Rebuilt: true, Notes: []string{"a note"}, More: map[verify.Code]int{kind.Code: 4},
		Findings: []verify.Finding{{Kind: kind, Where: "sync.1.json", What: "cut off"}, {Kind: kind, Where: "sync.2.json", What: "cut off"}, {Kind: verify.Kinds[1], Where: evil, What: evil}}}, nil}
	good := Verified{"ann", &verify.Result{Records: 1, Snapshots: 2}, nil}
	golden(t, "verify.txt", VerifyText(bad, Style{})+VerifyText(good, Style{}))
	golden(t, "verify.json", VerifyJSON([]Verified{bad, good, {"bob", nil, errors.New("no such disk")}}))
}

func TestFolderRules(t *testing.T) {
	f := &engine.Forecast{Notes: []string{"1 mail not expired yet, for max_expire is reached: the next sync goes on"}, Folders: []engine.FolderRule{
		{Retention: merge.Retention{Folder: "INBOX", Rule: -1, KeepFlagged: true}},
		{Retention: merge.Retention{Folder: "lists", Base: "lists", Rule: 0, Match: "lists", Keep: merge.Keep{Unit: merge.KeepMonths, N: 4}, KeepFrom: []string{"torvalds@*"},
			Archive: [2]merge.Pattern{merge.Online: "%Y-%m", merge.Offline: "%Y"}}, Due: 3, DueBytes: 12_345, Next: noon.AddDate(0, 0, 20), Filed: [2]time.Time{noon.AddDate(0, 0, 10), noon.AddDate(0, 0, 11)}},
		{Retention: merge.Retention{Folder: "lists/2014", Base: "lists", Rule: 0, Match: "lists"}, Due: 1, DueBytes: 99, Filed: [2]time.Time{merge.Offline: noon}},
		{Retention: merge.Retention{Folder: evil, Rule: 1, Match: evil}, Next: noon.AddDate(0, 0, 1)},
	}}
	all := Rules{Mailbox: "chris", Last: fullRecord(), Now: noon, Forecast: f}
	alone := Rules{Mailbox: "chris", Last: fullRecord(), Now: noon, Forecast: &engine.Forecast{Folders: f.Folders[:1]}, Unknown: true, Err: errors.New("no index")}
	never, broken := Rules{Mailbox: "ann"}, Rules{Mailbox: "bob", Err: errors.New("no such disk")}
	text := ""
	for _, r := range []Rules{all, alone, never, broken} {
		text += RulesText(r, Style{})
	}
	golden(t, "rules.txt", text)
	golden(t, "rules.json", RulesJSON([]Rules{all, alone, never, broken}))
}

func TestSync(t *testing.T) {
	s := Sync{Mailbox: "chris", Record: fullRecord(), Interrupted: 6, Notes: []string{"online has lost its snapshot"},
		Stale: map[string]int{"INBOX": 1, "my lists": 2}}
	golden(t, "sync.txt", SyncText(s, false, Style{}))
	golden(t, "sync-verbose.txt", SyncText(s, true, Style{}))
	golden(t, "sync-color.txt", SyncText(s, false, Style{Color: true}))
	golden(t, "sync-notes.txt", strings.Join(SyncNotes(s, true), "\n")+"\n")
	golden(t, "sync-not-done.txt", strings.Join(SyncNotes(s, false), "\n")+"\n")
	failed := Sync{Mailbox: "ann", Err: errors.New("online: no such disk")}
	if text := SyncText(failed, true, Style{}); text != "" {
		t.Errorf("a sync without a record has the text %q", text)
	}
	golden(t, "sync.json", SyncJSON([]Sync{s, failed}, false))
	golden(t, "sync-verbose.json", SyncJSON([]Sync{s}, true))
	s.DryRun = true
	golden(t, "sync-dry.txt", SyncText(s, true, Style{}))
	golden(t, "log-one.txt", LogOneText("chris", fullRecord(), []*state.Restore{fullRestore()}, Style{}))
	golden(t, "log-one.json", LogOneJSON([]*state.Record{fullRecord()}, [][]*state.Restore{{fullRestore()}}))
}

// "nothing to do" is for a sync that had nothing to do, not for one that could not.
func TestNothingToDo(t *testing.T) {
	text := func(t state.Totals, actions ...state.ReportAction) string {
		r := &state.Record{Meta: state.Meta{Sync: 7}, Report: state.Report{Totals: t, Actions: actions}}
		return SyncText(Sync{Mailbox: "chris", Record: r}, false, Style{})
	}
	for _, c := range []struct {
		name, text string
		nothing    bool
	}{
		{"idle", text(state.Totals{WaitingInNew: 1, Held: 1}), true},
		{"raced", text(state.Totals{Raced: 1}), false},
		{"failed", text(state.Totals{}, state.ReportAction{Effect: state.Failed}), false},
		{"online", text(state.Totals{Online: state.Counts{Expired: 1}}), false},
		{"home", text(state.Totals{Offline: state.Counts{Folders: 1}}), false},
	} {
		if strings.Contains(c.text, "nothing to do") != c.nothing {
			t.Errorf("%s: %q", c.name, c.text)
		}
	}
}

func TestLog(t *testing.T) {
	r := fullRecord()
	l := Log{Mailbox: "chris", Restores: []*state.Restore{{RestoreID: state.RestoreID{Sync: 6, N: 1}, Started: noon.Add(-time.Hour)}, fullRestore()}, Syncs: []state.Summary{
		{Meta: state.Meta{Sync: 6}, Started: noon.AddDate(0, 0, -1)},
		{Meta: r.Meta, Started: r.Started, Finished: r.Finished, Totals: r.Report.Totals},
	}}
	golden(t, "log.txt", LogText(l, Style{Zone: time.FixedZone("CET", 3600)})+LogText(Log{Mailbox: "ann"}, Style{}))
	golden(t, "log.json", LogJSON([]Log{l, {Mailbox: "ann"}}))
}

// items has a conflict of every kind.
func items() []Item {
	var out []Item
	online := merge.Online
	for i, k := range merge.Kinds {
		if !k.Waits() {
			continue
		}
		it := Item{Mailbox: "chris", Held: state.Held{Since: 7, From: "Änn <ann@example.org>", Subject: "Grüße"}}
		it.ID, it.Kind, it.Message = strings.Repeat(strconv.Itoa(i), 12), k, "1.a.host"
		it.Base = [2][]tree.Placement{{placed("INBOX", tree.Seen)}, {placed("INBOX", tree.Seen, "work")}}
		it.Now[merge.Offline] = []tree.Placement{placed("INBOX", tree.Seen, "work"), placed("my lists", 0)}
		if i == 1 {
			it.Decided, it.Subject, it.Files[merge.Offline] = &online, "", "/snap/offline.7/cur/1.a.host:2,S"
		}
		out = append(out, it)
	}
	return out
}

func TestConflicts(t *testing.T) {
	golden(t, "conflicts.txt", ConflictsText(items(), Style{}))
	golden(t, "conflicts.json", ConflictsJSON(items()))
	var all strings.Builder
	for _, it := range items() {
		all.WriteString(ConflictText(it, Style{}))
	}
	golden(t, "conflict.txt", all.String())
	if n := Undecided(items()); n != len(merge.Kinds)-2 {
		t.Errorf("%d undecided", n)
	}
}

// What the next sync does with an answer: the table of doc/merge-rules.md.
func TestConsequence(t *testing.T) {
	on, off := []tree.Placement{placed("INBOX", tree.Seen)}, []tree.Placement{placed("work", tree.Flagged)}
	const closed = "closes it until the facts change; nothing of online's replaces anything at home"
	for _, c := range []struct {
		kind            merge.Kind
		now             [2][]tree.Placement
		online, offline string
	}{
		{merge.DeletedOnline, [2][]tree.Placement{nil, off}, "deletes it at home", "keeps it at home; it is archive only from now on"},
		{merge.DeletedOffline, [2][]tree.Placement{on, nil}, "puts it back at home from its snapshot", "deletes it online"},
		{merge.DeleteModify, [2][]tree.Placement{nil, off}, "deletes it at home", "keeps it at home; it is archive only from now on"},
		{merge.DeleteModify, [2][]tree.Placement{on, nil}, "puts it back at home: INBOX S", "deletes it online"},
		{merge.DeleteModify, [2][]tree.Placement{on, off}, "makes both sides as it is online: INBOX S", "makes both sides as it is at home: work F"},
		{merge.ContentChanged, [2][]tree.Placement{on, off}, closed, closed},
		{merge.NameTaken, [2][]tree.Placement{on, off}, closed, closed},
		{merge.Duplicate, [2][]tree.Placement{on, off}, closed, closed},
		{merge.Refused, [2][]tree.Placement{}, closed, closed},
		{merge.KeywordFull, [2][]tree.Placement{on, off}, closed, closed},
	} {
		h := state.Held{Conflict: merge.Conflict{Kind: c.kind, Now: c.now}}
		if got := Consequence(h, merge.Online); got != c.online {
			t.Errorf("%s, take online: %q, want %q", c.kind, got, c.online)
		}
		if got := Consequence(h, merge.Offline); got != c.offline {
			t.Errorf("%s, take offline: %q, want %q", c.kind, got, c.offline)
		}
	}
}

func TestStatus(t *testing.T) {
	yes, no := true, false
	s := Status{
		Mailbox: "chris", Last: fullRecord(), Items: items(), Stale: map[string]int{"INBOX": 2}, Interrupted: 8, Known: true,
		Sides: [2]SideStatus{
			{Changed: &no, Snapshots: 1, Oldest: noon, Free: new(uint64(3 << 30))},
			{Changed: &yes, Snapshots: 21, Oldest: noon.AddDate(-1, 0, 0), Free: new(uint64(1023)), Alone: 5 << 20, AloneKnown: true},
		},
	}
	running := s
	running.Running, running.Items, running.Known, running.Err = true, nil, false, errors.New("no such disk")
	never := Status{Mailbox: "ann"}
	golden(t, "status.txt", StatusText(s, Style{})+StatusText(running, Style{})+StatusText(never, Style{}))
	golden(t, "status.json", StatusJSON([]Status{s, running, never}))
	s.Sides[merge.Offline].Stored = &state.Stored{Mails: 2, Bytes: 1536}
	s.Mailbox = "a \"b\"\\\n"
	golden(t, "status.prom", StatusPrometheus([]Status{s, running, never}))
}

func TestReady(t *testing.T) {
	r := Ready{Mailbox: "chris", Sides: [2]Figures{{2114, 58}, {38122, 61}}, MaxDeletions: 100,
		Sync: Sync{Mailbox: "chris", Record: fullRecord(), DryRun: true}}
	golden(t, "ready.txt", ReadyText(r, Style{}))
	golden(t, "ready.json", ReadyJSON([]Ready{r}))
	for _, c := range []struct {
		mails, limit int
		want         string
	}{
		{0, 100, ""},
		{10000, 100, ""},
		{38122, 100, "max_deletions = 381"},
		{10, 0, "holds every deletion"},
	} {
		r.Sides, r.MaxDeletions = [2]Figures{{0, 1}, {c.mails, 1}}, c.limit
		if got := r.Advice(); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%d mails, max_deletions %d: %q, want %q", c.mails, c.limit, got, c.want)
		}
	}
}

func TestPlan(t *testing.T) {
	p := Plan{
		Plan: merge.Plan{
			Folders: []merge.FolderAction{{Side: merge.Offline, Op: merge.MakeFolder, To: "my lists"}},
			Actions: []merge.Action{
				{Side: merge.Offline, Op: merge.Place, Message: "1.a", To: "my lists", Flags: tree.Seen, Keywords: []string{"work"}},
				{Side: merge.Online, Op: merge.Delete, Message: "2.b", From: "INBOX"},
			},
			Conflicts: []merge.Conflict{{Kind: merge.DeletedOnline, Message: "3.c"}},
		},
		Result: [2][]tree.Row{{{Message: "1.a", Placement: placed("my lists", tree.Seen, "a", "b")}}, nil},
	}
	golden(t, "plan.txt", PlanText(p, Style{}))
	golden(t, "plan.json", PlanJSON(p))
	golden(t, "plan-empty.txt", PlanText(Plan{}, Style{}))
	// The result is a table again.
	rows, err := tree.ReadTable(strings.NewReader("my lists\t1.a\tS\ta,b\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(PlanText(p, Style{}), strings.Join(columns(rows[0]), "\t")+"\n") {
		t.Error("the result can not be read back")
	}
}

// Every row that the planner names has words.
func TestRules(t *testing.T) {
	files, err := filepath.Glob("../../merge/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, lit := range strings.Split(string(src), `"`) {
			if n, err := strconv.Atoi(strings.TrimSuffix(lit, "a")); err == nil && n > 0 && ruleWords(lit) == "" {
				t.Errorf("%s: rule %q has no words", f, lit)
			}
		}
	}
}

// Whatever a mail store holds: text has no control character but the line feeds
// that are ours, JSON is one document of ASCII controls-free text, and nothing
// in it was replaced.
func TestHostile(t *testing.T) {
	rec := fullRecord()
	for i := range rec.Report.Actions {
		a := &rec.Report.Actions[i]
		a.Message, a.From, a.To, a.Why = evil, evil, evil, evil
		if a.After != nil {
			a.After.Keywords = []string{evil}
		}
	}
	for i := range rec.Report.Met {
		rec.Report.Met[i].Message, rec.Report.Met[i].Note = evil, evil
	}
	s := Sync{Mailbox: "chris", Record: rec, Notes: []string{evil}, Stale: map[string]int{evil: 2}, Err: errors.New(evil)}
	list := items()
	for i := range list {
		it := &list[i]
		it.Message, it.Note, it.From, it.Subject, it.Date, it.Files = evil, evil, evil, strings.Repeat(evil, 100), evil, [2]string{evil, evil}
		it.Base = [2][]tree.Placement{{placed(evil, 0, evil)}, {placed(evil, 0, evil)}}
		it.Now = it.Base
	}
	st := Status{Mailbox: "chris", Last: rec, Items: list, Stale: map[string]int{evil: 1}, Err: errors.New(evil)}
	p := Plan{Plan: merge.Plan{
		Folders:   []merge.FolderAction{{From: evil, To: evil}},
		Actions:   []merge.Action{{Message: evil, From: evil, To: evil, Keywords: []string{evil}}},
		Conflicts: []merge.Conflict{{Kind: merge.Duplicate, Message: evil, Note: evil}},
	}}
	back := fullRestore()
	back.Asked, back.Who = evil, evil
	for i := range back.Mails {
		m := &back.Mails[i]
		m.Message, m.To, m.Why, m.Copy = evil, evil, evil, &state.SnapshotFile{Snapshot: "offline.7", Path: evil}
		m.After = &state.Named{Name: evil, Keywords: []string{evil}}
	}
	restored := &engine.Restoration{Restore: back, Notes: []string{evil}}
	texts := []string{
		SyncText(s, true, Style{}), strings.Join(SyncNotes(s, true), "\n"), StatusText(st, Style{}), ConflictsText(list, Style{}),
		ConflictText(list[0], Style{}), ConflictText(list[2], Style{}), ResolvedText(list[1:2], Style{}),
		LogOneText("chris", rec, []*state.Restore{back}, Style{}), PlanText(p, Style{}), RestoreText(Restored{"chris", restored, nil}, Style{}),
	}
	for _, text := range texts {
		for _, line := range strings.Split(text, "\n") {
			if c := Clean(line); c != line {
				t.Errorf("not printable: %q", line)
			}
			if strings.HasPrefix(line, "ab") || strings.HasPrefix(line, "\u202e") {
				t.Errorf("a line feed got through before %q", line)
			}
		}
	}
	docs := []string{
		SyncJSON([]Sync{s}, true), StatusJSON([]Status{st}), ConflictsJSON(list), LogOneJSON([]*state.Record{rec}, [][]*state.Restore{{back}}), RestoreJSON(Restored{"chris", restored, errors.New(evil)}),
	}
	for _, doc := range docs {
		if c := Clean(strings.TrimSuffix(doc, "\n")); c+"\n" != doc {
			t.Errorf("JSON not printable: %q", doc)
		}
		if strings.Contains(doc, "\ufffd") || strings.Contains(doc, `\ufffd`) {
			t.Errorf("bytes were replaced: %s", doc)
		}
		if !json.Valid([]byte(doc)) {
			t.Errorf("not JSON: %s", doc)
		}
	}
	// What is UTF-8 comes back as it was.
	var again struct{ Conflicts []struct{ Message string } }
	list[0].Message = "a\u202e\u009b\U000e0001ü"
	if err := json.Unmarshal([]byte(ConflictsJSON(list[:1])), &again); err != nil || again.Conflicts[0].Message != list[0].Message {
		t.Errorf("%q became %q (%v)", list[0].Message, again.Conflicts[0].Message, err)
	}
}

func TestWord(t *testing.T) {
	for in, want := range map[string]string{
		"INBOX": "INBOX", "Äpfel/日本": "Äpfel/日本", "my lists": `"my lists"`, "": `""`, "-": `"-"`, "->": `"->"`,
		`a"b`: `"a\"b"`, `a\b`: `"a\\b"`, "a\u202eb": `"a\u202eb"`, "a\x1bb": `"a\x1bb"`, "a\xffb": `"a\xffb"`, "a\u00a0b": `"a\u00a0b"`,
	} {
		if got := Word(in); got != want {
			t.Errorf("Word(%q) = %s, want %s", in, got, want)
		}
	}
	if got := Quote(strings.Repeat("ä", 1000)); got != `"`+strings.Repeat("ä", maxQuoted)+`"…` {
		t.Errorf("a long text: %s", got)
	}
	if got := Quote(strings.Repeat("ä", maxQuoted)); got != `"`+strings.Repeat("ä", maxQuoted)+`"` {
		t.Errorf("a text that just fits: %s", got)
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 30: "1.0 GiB", 1 << 62: "4096.0 PiB"} {
		if got := Bytes(in); got != want {
			t.Errorf("Bytes(%d) = %s, want %s", in, got, want)
		}
	}
}

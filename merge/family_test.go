package merge

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/tree"
)

func TestParsePattern(t *testing.T) {
	for _, s := range []string{"%Y", "%m", "%Y-%m", "%Y/%m", "%Y/%Y-%m", "archive/%Y", "%Y%m%d", "Jahr %Y", "2%Y"} {
		if p, err := ParsePattern(s); err != nil || string(p) != s {
			t.Errorf("%q: %q, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "archive", "%y", "%", "%Y%", "%%Y", "%d", "%Y-%d", "/%Y", "%Y/", "%Y//%m", "../%Y", "%Y/.", "%Y\n", "%Y\xff", "%-m", "%H"} {
		if p, err := ParsePattern(s); err == nil {
			t.Errorf("%q is the pattern %q", s, p)
		}
	}
}

// TestPatternReadsBack: what a pattern says of a day, it names; and nothing else.
func TestPatternReadsBack(t *testing.T) {
	for _, p := range append([]Pattern{"%Y/%Y-%m", "a/%d.%m.%Y", "%Y%m%d", "%m-%d"}, usual...) {
		for day := time.Date(1999, 12, 30, 0, 0, 0, 0, time.UTC); day.Year() < 2004; day = day.AddDate(0, 0, 1) {
			if sub, ok := p.Format(day); !ok || !p.names(sub) {
				t.Fatalf("%s says %q and does not name it", p, sub)
			}
		}
	}
	for _, test := range []struct{ pattern, sub string }{
		{"%Y", "215"}, {"%Y", "20155"}, {"%Y", "2O15"}, {"%Y", "+215"}, {"%Y", "2015/11"}, {"%Y", ""}, {"", ""},
		{"%m", "00"}, {"%m", "13"}, {"%m", "3"}, {"%Y-%m", "2015-13"}, {"%Y-%m", "2015/11"}, {"%Y/%m", "2015/11/01"},
		{"%Y/%Y-%m", "2015/2014-11"}, {"%Y-%m-%d", "2015-02-29"}, {"%Y-%m-%d", "2015-02-00"}, {"%m-%d", "02-30"}, {"a/%Y", "b/2015"},
	} {
		if Pattern(test.pattern).names(test.sub) {
			t.Errorf("%s names %q", test.pattern, test.sub)
		}
	}
	if !Pattern("%m-%d").names("02-29") || !Pattern("%Y-%m-%d").names("2016-02-29") {
		t.Error("29 February is no day")
	}
}

func families() *Policy {
	return &Policy{Now: time.Date(2016, 3, 10, 12, 0, 0, 0, time.UTC), Rules: []Rule{
		{Match: "lists/2014/x", Skip: true},
		{Match: "lists", Archive: [2]Pattern{"%Y-%m", "a/%Y"}},
		{Match: "INBOX", Archive: [2]Pattern{Offline: "%Y"}},
		{Match: "deep/**", Archive: [2]Pattern{"%Y", "%Y"}},
		{Match: "**", Keep: &Keep{Unit: KeepNone}},
	}}
}

func TestFamily(t *testing.T) {
	p := families()
	for _, test := range []struct {
		folder, base string
		ok           bool
	}{
		{"lists", "lists", true}, {"lists/2015-11", "lists", true}, {"lists/a/2015", "lists", true},
		// Named by a usual pattern, so that an old layout is still known.
		{"lists/2015", "lists", true}, {"lists/2015/11", "lists", true}, {"lists/11", "lists", true},
		{"lists/a", "lists/a", false}, {"lists/talk", "lists/talk", false}, {"lists/2015-11/x", "lists/2015-11/x", false},
		{"lists/2014/x", "lists/2014/x", false}, {"lists2015", "lists2015", false}, {"2015", "2015", false},
		{"INBOX/2015", "INBOX", true}, {"INBOX", "INBOX", true}, {"work", "work", false},
		{"deep/a", "deep/a", true}, {"deep/a/2015", "deep/a", true},
		// A subfolder is no base, though its rule matches; what is below it is no member.
		{"deep/a/2015/2014", "deep/a/2015/2014", true}, {"deep/a/2015/x", "deep/a/2015/x", true}, {"deep/2015", "deep/2015", true}, {"deep/2015/2014", "deep/2015", true},
	} {
		if base, ok := p.Family(test.folder); base != test.base || ok != test.ok {
			t.Errorf("%s: %s %v, want %s %v", test.folder, base, ok, test.base, test.ok)
		}
	}
	if p.For("lists/2015").Keep.Unit != KeepAll || p.For("lists/talk").Keep.Unit != KeepNone {
		t.Error("the rule of the base does not cover its family, or covers more")
	}
}

func TestFiled(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ what, now, received, pattern, want string }{
		{"this month", "2016-03-10T12:00:00Z", "2016-03-01T00:00:00Z", "%Y-%m", "x"},
		{"last month", "2016-03-10T12:00:00Z", "2016-02-29T12:00:00Z", "%Y-%m", "x/2016-02"},
		{"leap day", "2016-03-10T12:00:00Z", "2016-02-29T12:00:00Z", "%Y-%m-%d", "x/2016-02-29"},
		{"last year's March", "2016-03-10T12:00:00Z", "2015-03-10T12:00:00Z", "%m", "x/03"},
		{"next month", "2016-03-10T12:00:00Z", "2016-04-01T12:00:00Z", "%Y-%m", "x"},
		{"year's end at home is an hour before UTC's", "2016-03-10T12:00:00Z", "2015-12-31T22:59:59Z", "%Y", "x/2015"},
		{"the new year has begun at home", "2016-03-10T12:00:00Z", "2015-12-31T23:00:00Z", "%Y", "x"},
		{"and for the clock too", "2015-12-31T23:00:00Z", "2015-12-31T22:00:00Z", "%Y", "x/2015"},
		{"summer time: two hours", "2016-08-10T12:00:00Z", "2016-06-30T22:00:00Z", "%Y-%m", "x/2016-07"},
		{"the night of the change", "2016-11-10T12:00:00Z", "2016-10-30T00:30:00Z", "%Y-%m", "x/2016-10"},
		{"before the epoch", "2016-03-10T12:00:00Z", "1969-12-31T12:00:00Z", "%Y", "x/1969"},
		{"no such year", "2016-03-10T12:00:00Z", "0000-01-01T00:00:00+14:00", "%Y", "x"},
		{"no pattern", "2016-03-10T12:00:00Z", "2015-03-10T12:00:00Z", "", "x"},
	} {
		now, _ := time.Parse(time.RFC3339, test.now)
		received, _ := time.Parse(time.RFC3339, test.received)
		p := &Policy{Now: now, Location: berlin, Rules: []Rule{{Match: "x", Archive: [2]Pattern{Pattern(test.pattern), "%Y"}}}}
		for _, folder := range []string{"x", "x/2001"} {
			if got := p.Filed(Online, folder, received); got != test.want {
				t.Errorf("%s: %s, want %s", test.what, got, test.want)
			}
		}
		if got := p.Filed(Online, "y", received); got != "y" {
			t.Errorf("filed in %s, which is in no family", got)
		}
	}
}

// TestPeriods: only a base whose period has changed is looked at, and nothing is
// before NextPeriod, whatever summer time does to midnight: in Amman it began with
// 1 April 2011, in Asunción with 1 October 1995, which had no 00:00.
func TestPeriods(t *testing.T) {
	amman, err := time.LoadLocation("Asia/Amman")
	if err != nil {
		t.Fatal(err)
	}
	folders := []string{"INBOX", "INBOX/2014", "deep/a", "lists", "lists/2015-11", "work"}
	day := func(y, m, d, h int) time.Time { return time.Date(y, time.Month(m), d, h, 0, 0, 0, amman) }
	for _, test := range []struct {
		last, now time.Time
		on, off   []string
	}{
		{day(2016, 3, 1, 0), day(2016, 3, 31, 23), nil, nil},
		{day(2016, 3, 31, 23), day(2016, 4, 1, 0), []string{"lists"}, nil},
		{day(2015, 12, 31, 23), day(2016, 1, 1, 0), []string{"deep/a", "lists"}, []string{"INBOX", "deep/a", "lists"}},
		{day(2015, 3, 10, 0), day(2016, 3, 10, 0), []string{"deep/a", "lists"}, []string{"INBOX", "deep/a", "lists"}},
		{day(2016, 1, 1, 0), day(2015, 12, 31, 23), nil, nil},
	} {
		p := families()
		p.Now, p.Location = test.now, amman
		if diff := cmp.Diff([2][]string{test.on, test.off}, [2][]string{p.Outdated(Online, folders, test.last), p.Outdated(Offline, folders, test.last)}); diff != "" {
			t.Errorf("%v to %v:\n%s", test.last, test.now, diff)
		}
	}
	asuncion, err := time.LoadLocation("America/Asuncion")
	if err != nil {
		t.Fatal(err)
	}
	everyPeriod(t, day(2011, 3, 30, 0), folders)
	everyPeriod(t, time.Date(1995, 9, 1, 0, 0, 0, 0, asuncion), folders)
}

// everyPeriod follows a clock for a year and a half.
func everyPeriod(t *testing.T, from time.Time, folders []string) {
	p := families()
	p.Location = from.Location()
	for now := from; now.Before(from.AddDate(1, 6, 0)); now = now.Add(7 * time.Hour) {
		p.Now = now
		for _, side := range Sides {
			next := p.NextPeriod(side, folders)
			before, after := *p, *p
			before.Now, after.Now = next.Add(-time.Nanosecond), next
			if len(before.Outdated(side, folders, now)) > 0 || len(after.Outdated(side, folders, now)) == 0 {
				t.Fatalf("after %v the next period begins at %v", now, next)
			}
		}
	}
	if !p.NextPeriod(Online, []string{"INBOX", "work"}).IsZero() {
		t.Error("a period ends where none is")
	}
}

// TestArchiveFolders: subfolders are each side's own affair.
func TestArchiveFolders(t *testing.T) {
	f := func(names ...string) (fs []Folder) {
		for _, n := range names {
			fs = append(fs, Folder{Name: n})
		}
		return fs
	}
	made := Folder{Name: "lists/2015-11", Made: true}
	full, year, month := made, Folder{Name: "lists/2015", Made: true}, Folder{Name: "lists/2015/11", Made: true}
	full.Mails = 1
	for _, test := range []struct {
		what    string
		agreed  []string
		on, off []Folder
		want    []FolderAction
	}{
		{"appears online", nil, f("lists/2015-11"), nil, nil},
		{"appears online, not by date", nil, f("lists/talk"), nil, []FolderAction{{Side: Offline, Op: MakeFolder, To: "lists/talk"}}},
		{"empty, made by a person", nil, f("lists/2015-11"), nil, nil},
		{"empty, ours", nil, []Folder{made}, nil, []FolderAction{{Side: Online, Op: RemoveFolder, From: "lists/2015-11"}}},
		{"not empty, ours", nil, []Folder{full}, nil, nil},
		{"one in the other", nil, nil, []Folder{month, year}, []FolderAction{{Side: Offline, Op: RemoveFolder, From: "lists/2015/11"}, {Side: Offline, Op: RemoveFolder, From: "lists/2015"}}},
		{"a person's in ours", nil, nil, []Folder{year, {Name: "lists/2015/x"}}, nil},
		{"removed on one side", []string{"lists/2015"}, f("lists/2015"), nil, nil},
		{"base removed, the other side's mail is filed", []string{"lists"}, []Folder{{Name: "lists"}, full}, nil, nil},
		{"a subfolder gets another name", []string{"lists/2015"}, []Folder{{Name: "lists/old", From: "lists/2015"}}, f("lists/2015"),
			[]FolderAction{{Side: Offline, Op: MakeFolder, To: "lists/old"}}},
		{"a whole family gets another name", []string{"deep/a", "deep/a/2015"}, []Folder{{Name: "deep/b", From: "deep/a"}, {Name: "deep/b/2015", From: "deep/a/2015"}}, f("deep/a", "deep/a/2015"),
			[]FolderAction{{Offline, RenameFolder, "deep/a", "deep/b"}, {Offline, RenameFolder, "deep/a/2015", "deep/b/2015"}}},
	} {
		got := Merge(Input{Agreed: test.agreed, Folders: [2][]Folder{test.on, test.off}}, *families()).Folders
		if len(got)+len(test.want) > 0 && !cmp.Equal(test.want, got) {
			t.Errorf("%s:\n%s", test.what, cmp.Diff(test.want, got))
		}
	}
}

// TestFilledAnew: a folder that becomes empty stays if the same sync puts others
// into it: the year when mail is filed by month from now on, and the base.
func TestFilledAnew(t *testing.T) {
	for _, test := range []struct {
		what, was string
		agreed    []string
		folders   [2][]Folder
	}{
		{"the year", "lists/2015", nil, [2][]Folder{Offline: {{Name: "lists/2015", Mails: 1, Made: true}}}},
		{"the base, removed online", "lists", []string{"lists"}, [2][]Folder{Offline: {{Name: "lists", Mails: 1}}}},
	} {
		mail := at(test.was, "S")
		mail.Received = time.Date(2015, 11, 20, 0, 0, 0, 0, time.UTC)
		home := [2][]tree.Placement{Offline: {mail}}
		p := families()
		p.Rules[1].Archive[Offline] = "%Y/%m"
		got := Merge(Input{Messages: []Message{{ID: "m", Base: home, Now: home}}, Agreed: test.agreed, Folders: test.folders}, *p).Folders
		if want := []FolderAction{{Side: Offline, Op: MakeFolder, To: "lists/2015/11"}}; !cmp.Equal(want, got) {
			t.Errorf("%s:\n%s", test.what, cmp.Diff(want, got))
		}
	}
}

// TestTidyNeverCosts: mail in new/ and keywords without a letter in the subfolder
// leave a file where it is.
func TestTidyNeverCosts(t *testing.T) {
	old := at("lists", "S", "work")
	old.Received = time.Date(2015, 11, 20, 0, 0, 0, 0, time.UTC)
	moves := func(vary func(p *tree.Placement, f *Folder)) bool {
		p, f := old, Folder{Name: "lists/2015-11"}
		vary(&p, &f)
		in := Input{Messages: []Message{{ID: "m", Base: [2][]tree.Placement{{p}, {old}}, Now: [2][]tree.Placement{{p}, {old}}}}}
		in.Folders[Online] = []Folder{f}
		return slices.ContainsFunc(Merge(in, *families()).Actions, func(a Action) bool { return a.Side == Online })
	}
	if !moves(func(*tree.Placement, *Folder) {}) {
		t.Error("not tidied")
	}
	if moves(func(p *tree.Placement, _ *Folder) { p.New = true }) {
		t.Error("moved from new/")
	}
	if moves(func(p *tree.Placement, _ *Folder) { p.Received = time.Time{} }) {
		t.Error("moved without a date")
	}
	if moves(func(_ *tree.Placement, f *Folder) {
		for i := range f.Keywords {
			f.Keywords[i] = string(rune('a' + i))
		}
	}) {
		t.Error("moved, and a keyword is lost")
	}
}

// TestTidyRaced: a mail is moved into the family, and the tidying fails: where it
// lies is agreed on all the same, so the next sync only tidies.
func TestTidyRaced(t *testing.T) {
	work, lists := at("work", "S"), at("lists", "S")
	received := time.Date(2015, 11, 20, 0, 0, 0, 0, time.UTC)
	work.Received, lists.Received = received, received
	in := Input{Messages: []Message{{ID: "m", Base: [2][]tree.Placement{{work}, {work}}, Now: [2][]tree.Placement{{lists}, {work}}}}}
	next, err := simulate(in, Merge(in, *families()), func(a Action) bool { return a.Rule == "archive" })
	if err != nil {
		t.Fatal(err)
	}
	base := next.Messages[0].Base
	if base[Online][0].Folder != "lists" || base[Offline][0].Folder != "lists/a/2015" {
		t.Errorf("next base %v", base)
	}
	again := Merge(next, *families()).Actions
	if len(again) != 1 || again[0].Rule != "archive" || again[0].To != "lists/2015-11" {
		t.Errorf("then %v", again)
	}
}

// TestRuleGone: without the family's rule, what both sides have filed apart is no
// change of mail.
func TestRuleGone(t *testing.T) {
	on, off := at("lists/2015-11", "S"), at("lists/a/2015", "S")
	in := Input{Messages: []Message{{ID: "m", Base: [2][]tree.Placement{{on}, {off}}, Now: [2][]tree.Placement{{on}, {off}}}}}
	plan := Merge(in, Policy{Now: clock, MaxDeletions: 9})
	if len(plan.Actions)+len(plan.Conflicts) > 0 {
		t.Errorf("%v %v", plan.Actions, plan.Conflicts)
	}
}

// TestSeveralFiles: several files of one message in one family of a side.
func TestSeveralFiles(t *testing.T) {
	dated := func(folder, letters string) tree.Placement {
		p := at(folder, letters)
		p.Received = time.Date(2015, 11, 20, 0, 0, 0, 0, time.UTC)
		return p
	}
	base, also := dated("lists", ""), dated("lists/2015-11", "")
	home := dated("lists/a/2015", "")
	merged := func(m Message, p *Policy) (Plan, [2][]tree.Placement) {
		t.Helper()
		m.ID = "m"
		in := Input{Messages: []Message{m}, Known: [2]int{50, 50}}
		plan := Merge(in, *p)
		next, err := simulate(in, plan, nil)
		if err != nil {
			t.Fatal(err)
		}
		return plan, next.Messages[0].Base
	}
	one, both := [2][]tree.Placement{{base}, {home}}, [2][]tree.Placement{{base, also}, {home}}

	p := families()
	p.Rules[1].Keep = &Keep{Unit: KeepWeeks, N: 4}
	plan, _ := merged(Message{Base: one, Now: [2][]tree.Placement{{base, dated("lists/2015-11", "F")}, {home}}}, p)
	for _, a := range plan.Actions {
		if a.Op == Expire {
			t.Error("a flagged one expires with the other:", a)
		}
	}
	plan, _ = merged(Message{Base: one, Now: [2][]tree.Placement{{dated("lists", "S"), also}, {home}}}, families())
	if len(plan.Actions) != 1 || plan.Actions[0].Side != Offline || plan.Actions[0].Flags != tree.Seen {
		t.Error("the flags of the one that was agreed on do not count:", plan.Actions)
	}
	plan, next := merged(Message{Base: both, Now: [2][]tree.Placement{nil, {home}}}, families())
	if len(plan.Conflicts) != 1 || plan.Conflicts[0].ID != ConflictID("m", both) || ConflictID("m", next) != ConflictID("m", both) {
		t.Errorf("held, and the base is another one: %v, then %v", plan.Conflicts, next)
	}
	_, next = merged(Message{Base: both, Now: [2][]tree.Placement{{dated("work", "")}, {home}}, Lost: [2]bool{true, false}, Differ: true}, families())
	if len(next[Online]) != 0 {
		t.Error("the base has what a replaced store lacks:", next)
	}
	p = families()
	p.Rules = p.Rules[4:]
	p.Rules[0].Keep = nil
	_, next = merged(Message{Base: one, Now: [2][]tree.Placement{{base, also}, {home}}}, families())
	if plan, _ = merged(Message{Base: next, Now: [2][]tree.Placement{{base, also}, {home}}}, p); len(plan.Actions) > 0 {
		t.Error("without the rule, the second file is news:", plan.Actions)
	}
}

package merge

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapmerge/tree"
)

// TestExpiryIsNoDeletion: should an expiry be carried out although the move at
// home was not, the next sync must not take it for a deletion.
func TestExpiryIsNoDeletion(t *testing.T) {
	a, n := at("A", "S"), at("None", "S")
	in := Input{Known: [2]int{50, 50}, Messages: []Message{{ID: "m", Base: [2][]tree.Placement{{a}, {a}}, Now: [2][]tree.Placement{{n}, {a}}}}}
	p := Policy{DeletedOnline: Apply, MaxDeletions: 9, Rules: testRules(), Now: clock}
	next := Merge(in, p).Outcomes[0].Settle([][2]*tree.Placement{{nil, &a}})
	if len(next[Online]) != 0 || len(next[Offline]) != 1 {
		t.Errorf("next base %v", next)
	}
}

// TestGuessedKeyword: online's letter has lost its name and only the base knows
// the keyword. Home, which had no part in the mail, has it again and is to get the
// keyword. If that raced, the next sync must still know it.
func TestGuessedKeyword(t *testing.T) {
	base, on, off := at("A", "", "work"), at("A", ""), at("A", "")
	on.Unnamed = true
	in := Input{Known: [2]int{50, 50}, Messages: []Message{{ID: "m", Base: [2][]tree.Placement{{base}, nil}, Now: [2][]tree.Placement{{on}, {off}}}}}
	p := Policy{MaxDeletions: 9, Now: clock}
	in, err := simulate(in, Merge(in, p), func(Action) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if in, err = simulate(in, Merge(in, p), nil); err != nil {
		t.Fatal(err)
	}
	if got := in.Messages[0].Now[Offline]; len(got) != 1 || len(got[0].Keywords) != 1 {
		t.Errorf("at home: %v", got)
	}
	if b := in.Messages[0].Base; len(b[Offline]) != 1 || len(Merge(in, p).Actions) > 0 {
		t.Errorf("not settled: base %v", b)
	}
}

// TestWaitsThroughRename: a held deletion stays held in the sync in which its
// folder is renamed, although its base, and so its ID, are then others.
func TestWaitsThroughRename(t *testing.T) {
	a := at("A", "S")
	b := [2][]tree.Placement{{a}, {a}}
	in := Input{
		Messages: []Message{{ID: "m", Base: b, Now: [2][]tree.Placement{nil, {a}}}},
		Agreed:   []string{"A"},
		Folders:  [2][]Folder{{{Name: "B", From: "A"}}, {{Name: "A", Mails: 1}}},
		Known:    [2]int{50, 50},
		Waiting:  map[string]bool{ConflictID("m", b): true},
	}
	plan := Merge(in, Policy{DeletedOnline: Apply, MaxDeletions: 9, Now: clock})
	if len(plan.Actions) != 0 || len(plan.Conflicts) != 1 {
		t.Errorf("actions %v, conflicts %v", plan.Actions, plan.Conflicts)
	}
}

// TestFolders: what the merge does to folders without any mail in play.
func TestFolders(t *testing.T) {
	f := func(names ...string) (fs []Folder) {
		for _, n := range names {
			fs = append(fs, Folder{Name: n})
		}
		return fs
	}
	full := Folder{Name: "x", Mails: 1}
	for _, test := range []struct {
		name    string
		agreed  []string
		on, off []Folder
		want    []FolderAction
	}{
		{"appears online", nil, f("x"), nil, []FolderAction{{Offline, MakeFolder, "", "x"}}},
		{"appears at home, empty", nil, nil, f("x"), nil},
		{"skipped", nil, f("Spam"), nil, nil},
		{"removed online, empty at home", []string{"x"}, nil, f("x"), []FolderAction{{Offline, RemoveFolder, "x", ""}}},
		{"removed at home, empty online", []string{"x"}, f("x"), nil, []FolderAction{{Online, RemoveFolder, "x", ""}}},
		{"removed online, mail at home", []string{"x"}, nil, []Folder{full}, nil},
		{"renamed online", []string{"x"}, []Folder{{Name: "y", From: "x"}}, f("x"), []FolderAction{{Offline, RenameFolder, "x", "y"}}},
		{"renamed at home", []string{"x"}, f("x"), []Folder{{Name: "y", From: "x"}}, []FolderAction{{Online, RenameFolder, "x", "y"}}},
		{"INBOX is never removed", []string{"INBOX"}, nil, f("INBOX"), nil},
	} {
		in := Input{Agreed: test.agreed, Folders: [2][]Folder{test.on, test.off}}
		got := Merge(in, Policy{Rules: testRules(), Now: clock}).Folders
		if len(got)+len(test.want) > 0 && !cmp.Equal(test.want, got) {
			t.Errorf("%s:\n%s", test.name, cmp.Diff(test.want, got))
		}
	}
}

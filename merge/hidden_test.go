package merge

import (
	"testing"

	"snapmerge/tree"
)

// A deletion on a side of which a part can not be read is held, whatever the
// policy; one on the other side is not.
func TestHidden(t *testing.T) {
	inbox := []tree.Placement{{Folder: tree.Inbox}}
	folders := []Folder{{Name: tree.Inbox, Mails: 9}}
	for _, by := range Sides {
		for _, hidden := range Sides {
			m := Message{ID: "1.h", Base: [2][]tree.Placement{inbox, inbox}}
			m.Now[by.Other()] = inbox
			in := Input{Messages: []Message{m}, Agreed: []string{tree.Inbox}, Folders: [2][]Folder{folders, folders}, Known: [2]int{9, 9}}
			in.Hidden[hidden] = true
			plan := Merge(in, Policy{DeletedOnline: Apply, DeletedOffline: Apply, MaxDeletions: 5})
			if held := len(plan.Actions) == 0 && len(plan.Conflicts) == 1 && len(plan.Notes) == 1; held != (by == hidden) {
				t.Errorf("deleted %s, hidden %s: %+v", by, hidden, plan)
			}
		}
	}
}

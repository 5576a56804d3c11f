package engine

import (
	"testing"

	"snapmerge/internal/config"
	"snapmerge/merge"
	"snapmerge/tree"
)

// What hides the mail that a side had in a folder: the folder's directory, its
// cur/ or new/, in the fs layout also a directory above it.
func TestUnreadable(t *testing.T) {
	for _, test := range []struct {
		fs              bool
		refused, folder string
		hidden          bool
	}{
		{false, ".work", "work", true},
		{false, ".work/cur", "work", true},
		{false, ".work/new", "work", true},
		{false, ".work/tmp", "work", false},
		{false, ".work", "work/old", false}, // .work.old is a directory beside it
		{false, ".play", "work", false},
		{false, "cur", tree.Inbox, true},
		{true, "work", "work", true},
		{true, "work", "work/old/2020", true},
		{true, "work/old", "work/old/2020", true},
		{true, "work/cur", "work", true},
		{true, "work/cur", "work/old", false},
		{true, "work", "workshop", false},
		{true, "work", tree.Inbox, false},
	} {
		r := &run{mb: config.Mailbox{Online: config.Store{Layout: tree.Layout{FS: test.fs}}}}
		r.base[merge.Online], r.now[merge.Online] = &base{seen: map[string][]owned{}}, &now{}
		r.agreed = map[string][2][]tree.Placement{"1.h": {merge.Online: {{Folder: test.folder}}}}
		r.refused[merge.Online] = []tree.Refused{{Path: test.refused, Why: tree.Elsewhere}}
		if got := r.unreadable(merge.Online)("1.h"); got != test.hidden {
			t.Errorf("fs layout %v: %q hides mail of %q: %v", test.fs, test.refused, test.folder, got)
		}
	}
}

package livetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapmerge/merge"
	"snapmerge/tree"
)

// What clients are subscribed to travels, by name: where Dovecot's control files
// are beside the mail and where they are not, and between two layouts.
func TestSubscriptions(t *testing.T) {
	for name, s := range map[string]setup{
		"maildir++":             {},
		"control, fs and utf-8": {ctl: true, layout: [2]tree.Layout{online: {UTF8: true}, home: {FS: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startPair(t, s).newWorld(t, "sub")
			w.begin()
			for _, side := range merge.Sides {
				w.do(side, "CREATE \"&AOQ-pfel\"") // both have it, as a folder without mail does not travel in both directions
			}
			w.do(online, "SUBSCRIBE Archive\nSUBSCRIBE a/b\nSUBSCRIBE \"&AOQ-pfel\"")
			w.do(home, "SUBSCRIBE INBOX\nSUBSCRIBE a/b")
			w.sync()
			w.subscribed("&AOQ-pfel Archive INBOX a/b")
			w.do(online, "UNSUBSCRIBE a/b\nSUBSCRIBE Empty")
			w.do(home, "UNSUBSCRIBE INBOX\nUNSUBSCRIBE \"&AOQ-pfel\"\nSUBSCRIBE lists")
			w.sync()
			w.subscribed("Archive Empty lists")
			checkQuiet(t, w.sync())

			// Dovecot's RENAME leaves the subscription at the old name.
			w.do(online, "RENAME Archive Old/Archive")
			w.sync()
			w.subscribed("Empty Old/Archive lists")
			// A client that sees to it itself, and a folder that goes.
			w.do(home, "RENAME Empty Full\nUNSUBSCRIBE Empty\nSUBSCRIBE Full\nDELETE lists\nUNSUBSCRIBE lists")
			w.sync()
			w.subscribed("Full Old/Archive")

			// A folder that only home has is subscribed online when it is there.
			w.do(home, "CREATE Local\nSUBSCRIBE Local")
			w.sync()
			if got := w.lsub(online); slices.Contains(got, "Local") {
				t.Errorf("online: %q", got)
			}
			w.do(home, "SELECT INBOX\nUID MOVE {read} Local")
			w.sync()
			w.subscribed("Full Local Old/Archive")
			checkQuiet(t, w.sync())
		})
	}
}

// subscribed checks what a client of either side is subscribed to.
func (w *world) subscribed(want string) {
	w.t.Helper()
	for _, side := range merge.Sides {
		if d := cmp.Diff(strings.Fields(want), w.lsub(side)); d != "" {
			w.t.Errorf("%s: -want +got\n%s", side, d)
		}
	}
}

func (w *world) lsub(side merge.Side) (names []string) {
	w.t.Helper()
	c := w.login(side)
	defer c.Close()
	for _, l := range c.Do(`LSUB "" *`) {
		if i := strings.LastIndex(l, `"/" `); i >= 0 {
			names = append(names, strings.Trim(l[i+4:], `"`))
		}
	}
	slices.Sort(names)
	return names
}

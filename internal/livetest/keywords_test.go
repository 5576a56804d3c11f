package livetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snapmerge/internal/state"
	"snapmerge/merge"
)

// manyKeywords: a folder has letters for 26 keywords. What finds none at home
// stays where it is, and nothing gets another meaning.
func manyKeywords(t *testing.T, w *world) {
	var kx, ky []string
	for i := range 20 {
		kx = append(kx, fmt.Sprintf("x%d", i))
	}
	for i := range 12 {
		ky = append(ky, fmt.Sprintf("y%d", i))
	}
	for i, kw := range kx { // spread over three mails
		w.do(online, fmt.Sprintf("SELECT INBOX\nUID STORE %d +FLAGS (%s)", i%3+1, kw))
	}
	w.do(home, fmt.Sprintf("SELECT INBOX\nUID STORE {tagged} +FLAGS (%s \\Answered)", strings.Join(ky, " ")))
	w.do(online, "SELECT INBOX\nUID STORE {tagged} -FLAGS (\\Seen)")
	w.sync()
	rec := w.sync() // a folder that was not yet full when the first began: this one asks
	full := slices.ContainsFunc(rec.Pending.Held, func(h state.Held) bool { return h.Kind == merge.KeywordFull })
	if !full {
		t.Errorf("no question about keywords:\n%s", actions(rec))
	}
	seen := [2]map[string]int{{}, {}}
	for _, side := range merge.Sides {
		for _, m := range w.look(side).mails {
			for _, f := range strings.Fields(m.flags) {
				if strings.HasPrefix(f, "unknown-") {
					t.Errorf("%s: %s", side, m)
				}
				if m.folder == "INBOX" {
					seen[side][m.subject+" "+f]++
				}
			}
		}
		table, err := os.ReadFile(filepath.Join(w.path(side), "dovecot-keywords"))
		must(t, err)
		if n := strings.Count(string(table), "\n"); n != 26 {
			t.Errorf("%s: %d keywords, want 26:\n%s", side, n, table)
		}
	}
	// What a client has set is still there on its own side.
	for i, kw := range kx {
		if m := []string{"read", "unseen", "tagged"}[i%3]; seen[online][m+" "+kw] != 1 {
			t.Errorf("online: %s has no longer %s", m, kw)
		}
	}
	for _, kw := range ky {
		if seen[home]["tagged "+kw] != 1 {
			t.Errorf("home: tagged has no longer %s", kw)
		}
	}
	for _, side := range merge.Sides {
		for has := range seen[side] {
			subject, kw, _ := strings.Cut(has, " ")
			if strings.HasPrefix(kw, "y") && subject != "tagged" {
				t.Errorf("%s: %s got %s", side, subject, kw)
			}
			if n := slices.Index(kx, kw); n >= 0 && []string{"read", "unseen", "tagged"}[n%3] != subject {
				t.Errorf("%s: %s got %s", side, subject, kw)
			}
		}
		if seen[side][`tagged \Answered`] != 1 || seen[side][`tagged \Seen`] != 0 {
			t.Errorf("%s: the flags did not travel", side)
		}
	}
}

// unnamedLetters: when dovecot-keywords is lost, Dovecot calls the letters that
// it meets unknown-0 and so on, for good. At home they keep their names.
func unnamedLetters(t *testing.T, w *world) {
	lost, _ := filepath.Glob(filepath.Join(w.path(online), "dovecot.index*"))
	for _, f := range append(lost, filepath.Join(w.path(online), "dovecot-keywords")) {
		must(t, os.Remove(f))
	}
	v := w.sees(online, "")
	if !strings.Contains(strings.Join(v.lines(), "\n"), "unknown-") {
		t.Fatalf("Dovecot invented no name: this test shows nothing: %q", v.lines())
	}
	w.do(online, "SELECT INBOX\nUID STORE {tagged} +FLAGS (\\Answered)\nUID STORE {read} +FLAGS (Later)\nUID STORE {unseen} +FLAGS (unknown-0)")
	w.sync()
	w.sees(home, `INBOX tagged $Label1 Zeta \Answered \Flagged \Seen
	                  INBOX read Later \Seen
	                  INBOX unseen`)
	table, err := os.ReadFile(filepath.Join(w.path(home), "dovecot-keywords"))
	must(t, err)
	if strings.Contains(string(table), "unknown") {
		t.Errorf("home's keywords:\n%s", table)
	}
	w.do(home, "SELECT INBOX\nUID MOVE {tagged} Archive")
	w.sync()
	w.sees(home, `Archive tagged $Label1 Zeta \Answered \Flagged \Seen`)
	checkQuiet(t, w.sync())
}

// renumbered: the letters of a folder have got other names, and its files other
// letters, as after a restore by another program. For home nothing has changed.
func renumbered(t *testing.T, w *world) {
	file := filepath.Join(w.path(online), "dovecot-keywords")
	was, err := os.ReadFile(file)
	must(t, err)
	if string(was) != "0 $Label1\n1 Zeta\n" {
		t.Fatalf("%q", was)
	}
	w.write(file+".tmp", "0 Zeta\n1 Fresh\n2 $Label1\n")
	must(t, os.Rename(file+".tmp", file))
	path := w.file(online, "INBOX", "tagged")
	must(t, os.Rename(path, strings.Replace(path, ":2,FSab", ":2,FSac", 1)))
	path = w.file(online, "INBOX", "read")
	must(t, os.Rename(path, strings.Replace(path, ":2,S", ":2,Sb", 1)))
	w.sync()
	w.sees(home, `INBOX tagged $Label1 Zeta \Flagged \Seen
	              INBOX read Fresh \Seen
	              Archive old Zeta \Seen`)
	checkQuiet(t, w.sync())
}

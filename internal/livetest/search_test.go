package livetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snapmerge/internal/hook"
)

// A search index at home finds every mail after syncs, whatever they have done:
// notmuch, brought up to date by the hook, and Dovecot's own (fts_xapian).
func TestSearch(t *testing.T) {
	w := startPair(t, setup{more: [2]string{home: fts}}).newWorld(t, "search")
	w.begin()
	n := newNotmuch(t, w.path(home))
	n.hook()
	n.finds("read", "INBOX")
	w.finds("read", "INBOX")
	for _, step := range []struct {
		do    string
		where map[string]string // subject to its folders
	}{
		{"SELECT INBOX\nUID STORE {read} +FLAGS (\\Flagged)\nUID MOVE {tagged} Archive\nAPPEND INBOX (\\Seen) late",
			map[string]string{"read": "INBOX", "tagged": "Archive", "late": "INBOX", "old": "Archive"}},
		{"RENAME Archive Kept\nSELECT INBOX\nUID COPY {late} lists\nUID MOVE {read} Kept",
			map[string]string{"old": "Kept", "tagged": "Kept", "read": "Kept", "late": "INBOX lists"}},
		{"SELECT Kept\nUID STORE {old} +FLAGS (\\Deleted)\nEXPUNGE",
			map[string]string{"old": "", "tagged": "Kept", "read": "Kept"}},
	} {
		w.do(online, step.do)
		w.sync()
		n.hook()
		for subject, where := range step.where {
			n.finds(subject, strings.Fields(where)...)
			w.finds(subject, strings.Fields(where)...)
		}
	}
}

const fts = `mail_plugins = $mail_plugins fts fts_xapian
plugin {
  fts = xapian
  fts_xapian = partial=3 full=20
  fts_autoindex = yes
  fts_enforced = yes
}
service indexer-worker {
  vsz_limit = 0
}
`

// finds has a client at home search all folders for a subject.
func (w *world) finds(subject string, folders ...string) {
	w.t.Helper()
	c := w.login(home)
	defer c.Close()
	var got []string
	for _, f := range c.Folders() {
		c.Do("SELECT %q", f)
		hits := strings.TrimSpace(strings.TrimPrefix(strings.Join(c.Do("UID SEARCH SUBJECT %q", subject), ""), "* SEARCH"))
		for range strings.Fields(hits) {
			got = append(got, f)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(folders) {
		w.t.Errorf("Dovecot's index has %q in %q, want %q", subject, got, folders)
	}
}

// A notmuch is an index of a Maildir.
type notmuch struct {
	t    testing.TB
	mail string
	env  []string
}

func newNotmuch(t testing.TB, mail string) *notmuch {
	t.Helper()
	if _, err := exec.LookPath("notmuch"); err != nil {
		t.Fatalf("%v; scripts/install-deps.sh installs what is needed", err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	text := fmt.Sprintf("[database]\npath=%s\nmail_root=%s\n[new]\ntags=new\nignore=/.*[.](index|log|cache|lock)/;dovecot-uidlist;dovecot-keywords;maildirfolder;subscriptions\n", dir, mail)
	must(t, os.WriteFile(config, []byte(text), 0o600))
	return &notmuch{t, mail, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "NOTMUCH_CONFIG=" + config}}
}

// hook is what runs after a sync.
func (n *notmuch) hook() {
	n.t.Helper()
	must(n.t, hook.Run(context.Background(), []string{"notmuch", "new", "--quiet"}, n.env, time.Minute))
}

// finds looks whether the index has the files of a subject, all of them and at
// their places.
func (n *notmuch) finds(subject string, folders ...string) {
	n.t.Helper()
	cmd := exec.Command("notmuch", "search", "--output=files", "--exclude=false", "id:"+subject+"@example.org")
	cmd.Env = n.env
	out, err := cmd.Output()
	must(n.t, err)
	var got []string
	for path := range strings.Lines(string(out)) {
		path = strings.TrimSpace(path)
		if _, err := os.Stat(path); err != nil {
			n.t.Errorf("notmuch has a file that is not there: %v", err)
		}
		rel, _ := filepath.Rel(n.mail, filepath.Dir(filepath.Dir(path)))
		got = append(got, map[bool]string{true: "INBOX", false: strings.TrimPrefix(rel, ".")}[rel == "."])
	}
	slices.Sort(got)
	if fmt.Sprint(got) != fmt.Sprint(folders) {
		n.t.Errorf("notmuch has %q in %q, want %q", subject, got, folders)
	}
}

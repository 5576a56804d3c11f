package crashtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/merge"
)

// A world is two stores with their snapshots, below one directory.
type world struct {
	t       testing.TB
	dir     string
	mb      config.Mailbox // a sync that is killed has always that of [mailbox]
	ssh     string         // how online is reached; "": it is here
	batch   int            // of a sync that is killed; 0: all
	online  store
	offline store
}

// A store is one side's live Maildir, layout Maildir++, and what its user does
// there: as Dovecot does it, but without any lock.
type store struct {
	t    testing.TB
	path string
}

// epoch is when the first mail was received; each later one a minute later.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// mailbox is the configuration of the world in dir.
func mailbox(dir string) config.Mailbox {
	hold, apply := merge.Hold, merge.Apply
	none, year := merge.Keep{Unit: merge.KeepNone}, merge.Keep{Unit: merge.KeepYears, N: 1}
	return config.Mailbox{
		Name:    "chris",
		Online:  config.Store{Path: filepath.Join(dir, "online", "mail"), Snapshots: filepath.Join(dir, "online", "snapshots")},
		Offline: config.Store{Path: filepath.Join(dir, "offline", "mail"), Snapshots: filepath.Join(dir, "offline", "snapshots")},
		Merge: config.Merge{Prefer: merge.PreferOffline, DeletedOnline: merge.Hold,
			DeletedOffline: merge.Apply, MaxDeletions: 100},
		Folders: []merge.Rule{
			{Match: "Trash", DeletedOnline: &apply},
			{Match: "ask", DeletedOffline: &hold},
			{Match: "news", Keep: &none},
			{Match: "old", Keep: &year},
			{Match: "list", DeletedOnline: &apply, Archive: [2]merge.Pattern{merge.Online: "%Y-%m", merge.Offline: "%Y"}},
		},
		Rotate: config.Rotate{PreserveMin: "2d", Preserve: "14d"},
	}
}

func stateDir(dir string) string { return filepath.Join(dir, "state") }

// newWorld makes two empty stores below dir, each with an INBOX. Either half
// may be a symlink to a directory on another file system.
func newWorld(t testing.TB, dir string) *world {
	t.Helper()
	mb := mailbox(dir)
	for _, s := range []config.Store{mb.Online, mb.Offline} {
		must(t, os.MkdirAll(s.Snapshots, 0o700))
		command(t, "btrfs", "subvolume", "create", s.Path)
		must(t, os.Chmod(s.Path, 0o700))
		for _, d := range []string{"cur", "new", "tmp"} {
			must(t, os.Mkdir(filepath.Join(s.Path, d), 0o700))
		}
	}
	return &world{t: t, dir: dir, mb: mb, online: store{t, mb.Online.Path}, offline: store{t, mb.Offline.Path}}
}

func (w *world) sides() map[string]store {
	return map[string]store{"online": w.online, "offline": w.offline}
}

// sync runs a sync in this process. It must work.
func (w *world) sync() *engine.Result {
	w.t.Helper()
	res, err := w.trySync(engine.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func (w *world) trySync(opt engine.Options) (*engine.Result, error) {
	opt.Connect = w.connect
	return engine.Sync(context.Background(), w.mb, stateDir(w.dir), opt)
}

// dirOf is a folder's directory; "" or "INBOX" is the root.
func (s store) dirOf(folder string) string {
	if folder == "INBOX" {
		return s.path
	}
	return filepath.Join(s.path, "."+strings.ReplaceAll(folder, "/", "."))
}

func (s store) makeFolder(folder string) {
	s.t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		must(s.t, os.MkdirAll(filepath.Join(s.dirOf(folder), sub), 0o700))
	}
}

func (s store) renameFolder(from, to string) {
	s.t.Helper()
	must(s.t, os.Rename(s.dirOf(from), s.dirOf(to)))
}

func (s store) removeFolder(folder string) {
	s.t.Helper()
	must(s.t, os.RemoveAll(s.dirOf(folder)))
}

// body is the text of a mail: not two are alike, and their sizes go from an
// inline extent to several blocks. Lines end as in IMAP.
func body(key string, n int) []byte {
	head := fmt.Sprintf("From: %s@example.org\r\nSubject: mail %s\r\n\r\n", key, key)
	return append([]byte(head), bytes.Repeat([]byte(key+" says hello.\r\n"), 1+n*n%700)...)
}

// deliver puts a mail into cur/. n sets its size and date.
func (s store) deliver(folder, key, flags string, n int) {
	s.t.Helper()
	s.write(folder, "cur", key, ":2,"+flags, n)
}

// arrive puts a mail into new/.
func (s store) arrive(folder, key string, n int) {
	s.t.Helper()
	s.write(folder, "new", key, "", n)
}

func (s store) write(folder, sub, key, info string, n int) {
	s.t.Helper()
	text := body(key, n)
	tmp := filepath.Join(s.path, "tmp", key)
	must(s.t, os.WriteFile(tmp, text, 0o600))
	at := epoch.Add(time.Duration(n) * time.Minute)
	must(s.t, os.Chtimes(tmp, at, at))
	must(s.t, os.Rename(tmp, filepath.Join(s.dirOf(folder), sub, fmt.Sprintf("%s,S=%d%s", key, len(text), info))))
}

// find returns the path of a mail in a folder, in cur/ or new/, or "".
func (s store) find(folder, key string) string {
	for _, sub := range []string{"cur", "new"} {
		names, _ := os.ReadDir(filepath.Join(s.dirOf(folder), sub))
		for _, n := range names {
			if keyOf(n.Name()) == key {
				return filepath.Join(s.dirOf(folder), sub, n.Name())
			}
		}
	}
	return ""
}

func (s store) mustFind(folder, key string) string {
	s.t.Helper()
	p := s.find(folder, key)
	if p == "" {
		s.t.Fatalf("%s: no mail %s in folder %s", s.path, key, folder)
	}
	return p
}

// flag sets ("F") or unsets ("-S") letters.
func (s store) flag(folder, key, change string) {
	s.t.Helper()
	p := s.mustFind(folder, key)
	must(s.t, os.Rename(p, flagged(p, change)))
}

func flagged(path, change string) string {
	unique, info, _ := strings.Cut(filepath.Base(path), ":2,")
	letters := []byte(info)
	if off, ok := strings.CutPrefix(change, "-"); ok {
		letters = slices.DeleteFunc(letters, func(b byte) bool { return strings.IndexByte(off, b) >= 0 })
	} else {
		letters = append(letters, change...)
	}
	slices.Sort(letters)
	return filepath.Join(filepath.Dir(filepath.Dir(path)), "cur", unique+":2,"+string(slices.Compact(letters)))
}

// keyword sets a keyword; the folder's table gets it if it has it not.
func (s store) keyword(folder, key, keyword string) {
	s.t.Helper()
	table := keywords(s.dirOf(folder))
	letter := slices.Index(table, keyword)
	if letter < 0 {
		letter = len(table)
		file := filepath.Join(s.dirOf(folder), "dovecot-keywords")
		old, _ := os.ReadFile(file)
		must(s.t, os.WriteFile(file+".user", fmt.Appendf(old, "%d %s\n", letter, keyword), 0o600))
		must(s.t, os.Rename(file+".user", file))
	}
	s.flag(folder, key, string(rune('a'+letter)))
}

// move moves a mail without its keywords, which mean something else elsewhere.
func (s store) move(from, key, to string) {
	s.t.Helper()
	p := s.mustFind(from, key)
	must(s.t, os.Rename(p, filepath.Join(s.dirOf(to), "cur", filepath.Base(p))))
}

func (s store) copy(from, key, to string) {
	s.t.Helper()
	p := s.mustFind(from, key)
	must(s.t, os.Link(p, filepath.Join(s.dirOf(to), "cur", filepath.Base(p))))
}

func (s store) delete(folder string, keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		must(s.t, os.Remove(s.mustFind(folder, k)))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

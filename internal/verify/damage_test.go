package verify

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

func runSQL(path, statement string) error {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = sqlitex.ExecuteScript(conn, statement, nil)
	if verb, _, _ := strings.Cut(statement, " "); err == nil && verb == "UPDATE" && conn.Changes() == 0 {
		err = fmt.Errorf("%s: nothing to change", statement)
	}
	return err
}

func half(b []byte) []byte { return b[:len(b)/2] }

func inRecord(sync int, change func(*state.Record)) func(*world) {
	return func(w *world) { w.record(sync, change) }
}

// toFile changes a file beside home's snapshots.
func toFile(name string, change func([]byte) []byte) func(*world) {
	return func(w *world) { w.edit(w.snap(name), change) }
}

var recordDamage = []damage{
	{name: "the newest record is cut off", code: "record-damaged", do: toFile("sync.4.json", half)},
	{name: "a bit of an old record", code: "record-damaged", do: toFile("sync.2.json", func(b []byte) []byte { b[len(b)-5] ^= 1; return b })},
	{name: "an empty record", code: "record-damaged", do: toFile("sync.1.json", func([]byte) []byte { return nil })},
	{name: "a record of another sync", code: "record-damaged", do: func(w *world) {
		data, _ := os.ReadFile(w.snap("sync.1.json"))
		w.write(w.snap("sync.2.json"), string(data))
	}},
	{name: "a newer format", code: "record-newer", do: toFile("sync.2.json", func(b []byte) []byte {
		return bytes.Replace(b, []byte(`"Version":`), []byte(`"Version":9`), 1)
	})},
	{name: "a record is gone", code: "record-missing", do: func(w *world) { w.must(os.Remove(w.snap("sync.2.json"))) }},
	{name: "the newest record is gone", code: "snapshot-unrecorded", do: func(w *world) {
		w.must(os.Remove(w.snap("sync.4.json")))
		w.must(os.Remove(w.snap("sync.3.json")))
	}},
	{name: "somebody else's record", code: "record-mailbox", do: inRecord(2, func(r *state.Record) { r.Mailbox = "ann" })},
	{name: "a count", code: "record-counts", do: inRecord(1, func(r *state.Record) { r.Report.Offline.Placed++ })},
	{name: "a deletion is left out", code: "record-counts", do: inRecord(3, func(r *state.Record) { r.Report.Actions = r.Report.Actions[:1] })},
	{name: "an effect that there is not", code: "record-action", do: inRecord(1, func(r *state.Record) { r.Report.Actions[0].Effect = "perhaps" })},
	{name: "an action that nobody does", code: "record-action", do: inRecord(3, func(r *state.Record) { r.Report.Actions[0].Op = "rewrite" })},
	{name: "a file that the snapshot has not", code: "record-pairs", do: inRecord(4, func(r *state.Record) {
		r.Pending.Pairs = append(r.Pending.Pairs, state.Pair{Side: merge.Offline, Folder: "INBOX", Name: "no.such:2,", Message: "x"})
	})},
	{name: "an own file that was there before", code: "record-own", do: func(w *world) {
		st, err := os.Stat(w.snap("offline.4") + "/cur/7.g:2,S")
		w.must(err)
		w.record(4, func(r *state.Record) {
			r.Pending.Own = append(r.Pending.Own, state.OwnFile{Side: merge.Offline, Message: "7.g", File: tree.File{Ino: inoOf(st)}})
		})
	}},
	{name: "a deletion from nowhere", code: "copy-missing", do: inRecord(3, func(r *state.Record) {
		for i, a := range r.Report.Actions {
			if a.Copy != nil {
				r.Report.Actions[i].Copy.Path += "x"
			}
		}
	})},
	{name: "an open question about nothing", code: "held-missing", do: inRecord(4, func(r *state.Record) { r.Pending.Held[0].Source.Path = "cur/none" })},
	{name: "an open question, its snapshot gone", code: "held-missing", do: inRecord(4, func(r *state.Record) { r.Pending.Held[0].Source.Snapshot = "offline.77" })},
	{name: "the snapshot of a deletion of today", code: "undo-missing", do: inRecord(4, func(r *state.Record) {
		r.Pending.Undo = append(r.Pending.Undo, state.Undo{Snapshot: "offline.77", Sync: 3, At: time.Now()})
	})},
	{name: "a restore", code: "restore-damaged", do: func(w *world) { w.write(w.snap("restore.4.1.json"), "{}\n") }},
	{name: "the journal", code: "journal-damaged", do: func(w *world) { w.write(w.snap("journal"), "{\n") }},
	{name: "the answers", code: "decisions-damaged", do: func(w *world) { w.write(w.snap("decisions.json"), "no answers\n") }},
	{name: "a record that is a symlink", code: "not-ours", do: func(w *world) { w.must(os.Symlink("/etc/passwd", w.snap("sync.9.json"))) },
		undo: func(w *world) { w.must(os.Remove(w.snap("sync.9.json"))) }},
	{name: "a snapshot that is a file", code: "not-ours", do: func(w *world) { w.write(w.snap("offline.77"), "") }},
	{name: "a snapshot that is a directory", code: "not-ours", do: func(w *world) { w.must(os.Mkdir(w.snap("offline.77"), 0o700)) },
		undo: func(w *world) { w.must(os.Remove(w.snap("offline.77"))) }},
}

func sqlDamage(name string, code Code, statement string) damage {
	return damage{name: name, code: code, mends: true, do: func(w *world) { w.sql(statement) }}
}

var indexDamage = []damage{
	{name: "no index", code: "index-missing", mends: true, do: func(w *world) { w.must(os.Remove(w.index())) }},
	{name: "no SQLite file", code: "index-damaged", mends: true, do: func(w *world) { w.write(w.index(), strings.Repeat("mail ", 5000)) }},
	{name: "an empty file", code: "index-damaged", mends: true, do: func(w *world) { w.write(w.index(), "") }},
	{name: "half an index", code: "index-damaged", mends: true, do: func(w *world) { w.edit(w.index(), half) }},
	{name: "a page of it", code: "index-damaged", mends: true, do: func(w *world) {
		w.edit(w.index(), func(b []byte) []byte { copy(b[4096*3:], make([]byte, 4096)); return b })
	}},
	sqlDamage("another version", "index-damaged", "PRAGMA user_version = 77"),
	sqlDamage("a table is gone", "index-damaged", "DROP TABLE meta"),
	{name: "an older index", code: "index-behind", mends: true, do: func(w *world) { w.must(os.WriteFile(w.index(), w.older, 0o600)) }},
	sqlDamage("what waits", "index-pending", `UPDATE pending SET value = replace(value, '"INBOX"', '"INBOY"')`),
	sqlDamage("a file is left out", "index-lacks", "DELETE FROM file WHERE name = '7.g:2,S' AND side = 1"),
	sqlDamage("a file too many", "index-extra", "INSERT INTO file SELECT side, folder, isnew, '77.z:2,', 7777777, size, mtime, ctime, '77.z', NULL FROM file LIMIT 1"),
	sqlDamage("an inode", "index-differs", "UPDATE file SET ino = ino + 100000 WHERE name = '7.g:2,S'"),
	sqlDamage("a date", "index-differs", "UPDATE file SET mtime = mtime + 1 WHERE name = '7.g:2,S'"),
	sqlDamage("a message", "index-message", "UPDATE file SET message = '8.h', key = '7.g' WHERE name = '7.g:2,S'"),
	sqlDamage("a folder's name", "index-folder", "UPDATE folder SET name = 'elsewhere' WHERE name = 'work'"),
	sqlDamage("a folder's keywords", "index-folder", "UPDATE folder SET keywords = replace(keywords, 'todo', 'done')"),
	sqlDamage("a file without a folder", "index-damaged", "PRAGMA foreign_keys = off; DELETE FROM folder WHERE name = 'work'"),
	sqlDamage("a sum", "index-count", "UPDATE meta SET value = '[1,1]' WHERE key = 'messages'"),
}

// away renames a snapshot; a read-only one can be renamed in its directory.
func away(name string) func(*world) {
	return func(w *world) { w.must(os.Rename(w.snap(name), w.snap("away"))) }
}

func back(name string) func(*world) {
	return func(w *world) {
		if _, err := os.Stat(w.snap(name)); err == nil {
			w.btrfs("subvolume", "delete", w.snap(name))
		}
		w.must(os.Rename(w.snap("away"), w.snap(name)))
	}
}

func replaced(name string) func(*world) {
	return func(w *world) {
		away(name)(w)
		w.btrfs("subvolume", "snapshot", "-r", w.mb.Offline.Path, w.snap(name))
	}
}

var snapshotDamage = []damage{
	{name: "home's base", code: "base-missing", do: away("offline.4"), undo: back("offline.4")},
	{name: "online's base", code: "base-missing",
		do:   func(w *world) { w.must(os.Rename(w.mb.Online.Snapshots+"/online.4", w.mb.Online.Snapshots+"/away")) },
		undo: func(w *world) { w.must(os.Rename(w.mb.Online.Snapshots+"/away", w.mb.Online.Snapshots+"/online.4")) }},
	{name: "another base", code: "base-replaced", do: replaced("offline.4"), undo: back("offline.4")},
	{name: "another old snapshot", code: "snapshot-replaced", do: replaced("offline.2"), undo: back("offline.2")},
	{name: "a snapshot of no sync", code: "snapshot-unrecorded",
		do:   func(w *world) { w.btrfs("subvolume", "snapshot", "-r", w.mb.Offline.Path, w.snap("offline.9")) },
		undo: func(w *world) { w.btrfs("subvolume", "delete", w.snap("offline.9")) }},
	{name: "a writable snapshot", code: "snapshot-writable",
		do:   func(w *world) { w.btrfs("property", "set", "-ts", w.snap("offline.1"), "ro", "false") },
		undo: func(w *world) { w.btrfs("property", "set", "-ts", w.snap("offline.1"), "ro", "true") }},
	{name: "the snapshot of a deletion", code: "undo-missing", do: away("offline.3"), undo: back("offline.3")},
	{name: "a snapshot that was written to", code: "snapshot-changed",
		do: func(w *world) {
			w.btrfs("property", "set", "-ts", w.snap("offline.1"), "ro", "false")
			w.write(w.snap("offline.1")+"/forged", "x")
			w.btrfs("property", "set", "-ts", w.snap("offline.1"), "ro", "true")
		},
		undo: func(w *world) { w.btrfs("subvolume", "delete", w.snap("offline.1")) }},
}

// homeDamage are what happens to single mails and folders.
var homeDamage = []struct {
	path string
	code Code
	do   func(w *world, path string)
}{
	{"cur/7.g:2,S", "content-changed", func(w *world, path string) { // as bytes rot: same length, same date
		st, err := os.Stat(path)
		w.must(err)
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		w.must(err)
		_, err = f.WriteAt([]byte("forged"), 5000)
		w.must(err)
		w.must(f.Close())
		w.must(os.Chtimes(path, st.ModTime(), st.ModTime()))
	}},
	{"cur/1.a,S=300:2,S", "size-wrong", func(w *world, path string) { w.must(os.Truncate(path, 100)) }},
	{"cur/8.h:2,S", "mail-empty", func(w *world, path string) { w.must(os.Truncate(path, 0)) }},
	{".work/cur/4.new:2,S", "date-changed", func(w *world, path string) { w.must(os.Chtimes(path, time.Now(), time.Now())) }},
	{".ask/cur/5.e:2,S", "digest-changed", func(w *world, path string) { // changed and changed back is no other content to the snapshots
		w.edit(path, func(b []byte) []byte { b[100]++; return b })
	}},
	{"cur/9.i:2,S", "name-twice", func(w *world, path string) { w.mail(w.home("cur/9.i:2,FS"), 50) }},
	{"cur/evil", "not-mail", func(w *world, path string) { w.must(os.Symlink("/etc/shadow", path)) }},
	{".work/cur/6.f:2,Sa", "keyword-unnamed", func(w *world, path string) { w.must(os.Remove(w.home(".work/dovecot-keywords"))) }},
	{".work", "folder-incomplete", func(w *world, path string) { w.must(os.Remove(path + "/tmp")) }},
}

func inoOf(st os.FileInfo) uint64 { return st.Sys().(*syscall.Stat_t).Ino }

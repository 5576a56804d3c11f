package crashtest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"snapmerge/internal/apply"
	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/host"
	"snapmerge/merge"
)

// TestSecondNameIsTheLast: a client has moved a copy of a mail to where the mail
// is, so the file has two names there. A sync is about to move it, which is a
// rename of one and the removal of the other. If somebody removes the first
// meanwhile, as Dovecot does with what it takes for a duplicate, the second is
// the mail.
func TestSecondNameIsTheLast(t *testing.T) {
	w := fresh(t, "work")
	w.online.deliver("INBOX", "m", "S", 1)
	w.sync()
	must(t, os.Link(w.offline.mustFind("INBOX", "m"), filepath.Join(w.offline.dirOf("INBOX"), "cur", "zz:2,S")))
	w.sync()
	before := files(t, w.offline.path)
	w.online.move("INBOX", "m", "work")
	res, err := w.trySync(engine.Options{Progress: once(engine.StageMerge, func() { w.offline.delete("INBOX", "m") })})
	must(t, err)
	wantDid(t, res, "offline move m INBOX work raced", "offline move m INBOX work raced")
	if w.offline.find("INBOX", "zz") == "" {
		t.Error("the mail is lost at home")
	}
	wantDid(t, w.sync(), "offline move m INBOX work done")
	w.wantWhere("m", [2]string{"work:S", ""})
	w.wantWhere("zz", [2]string{"", "work:S"})
	w.untouched(before)
	w.settled()
}

// TestBothNamesGo: what goes on one side, or moves, goes on the other with all of its names,
// in one sync.
func TestBothNamesGo(t *testing.T) {
	for _, tt := range []struct {
		name       string
		change     func(online store)
		want       []string
		where, too string // of the two names at home afterwards
	}{
		{
			"copy is deleted", func(s store) { s.delete("work", "m") },
			[]string{"offline delete m work done", "offline delete m work done"}, "INBOX:S", "",
		},
		{
			"mail is deleted", func(s store) { s.delete("work", "m"); s.delete("INBOX", "m") },
			[]string{"offline delete m INBOX done", "offline delete m work done", "offline delete m work done"}, "", "",
		},
		{
			"copy is moved, mail deleted", func(s store) { s.move("work", "m", "lists"); s.delete("INBOX", "m") },
			[]string{"offline move m INBOX lists done", "offline delete m work done", "offline delete m work done"}, "lists:S", "",
		},
		{
			"mail is deleted, copy flagged", func(s store) { s.delete("INBOX", "m"); s.flag("work", "m", "F") },
			[]string{"offline flag m work work done", "offline delete m INBOX done"}, "work:FS", "work:S",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := fresh(t, "work", "lists")
			w.mb.Merge.DeletedOnline = merge.Apply
			w.online.deliver("INBOX", "m", "S", 1)
			w.online.copy("INBOX", "m", "work")
			w.sync()
			must(t, os.Link(w.offline.mustFind("INBOX", "m"), filepath.Join(w.offline.dirOf("work"), "cur", "zz:2,S")))
			w.sync()
			tt.change(w.online)
			wantDid(t, w.sync(), tt.want...)
			w.wantWhere("m", [2]string{look(t, w.online.path).where("m"), tt.where})
			w.wantWhere("zz", [2]string{"", tt.too})
			w.settled()
		})
	}
}

// TestSecondNameOfWhatStays: if a client was faster with the first name of a mail
// that is to go, the second stays with it, or the two would be half deleted.
func TestSecondNameOfWhatStays(t *testing.T) {
	w := fresh(t, "work")
	w.mb.Merge.DeletedOnline = merge.Apply
	w.online.deliver("INBOX", "m", "S", 1)
	w.online.copy("INBOX", "m", "work")
	w.sync()
	must(t, os.Link(w.offline.mustFind("INBOX", "m"), filepath.Join(w.offline.dirOf("work"), "cur", "zz:2,S")))
	w.sync()
	w.online.delete("work", "m")
	res, err := w.trySync(engine.Options{Progress: once(engine.StageMerge, func() { w.offline.flag("work", "m", "F") })})
	must(t, err)
	wantDid(t, res, "offline delete m work raced", "offline delete m work raced")
	w.wantWhere("zz", [2]string{"", "work:S"})
}

// TestBothNamesOfFamily: so does a mail with one name in the base of an archive
// family and another in a subfolder.
func TestBothNamesOfFamily(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(online store)
		want   []string
		where  string
	}{
		{
			"deleted", func(s store) { s.delete("lists", "m") },
			[]string{"offline delete m lists/2025 done", "offline delete m lists done", "offline remove-folder lists/2025 done"}, "",
		},
		{
			"moved", func(s store) { s.move("lists", "m", "work") },
			[]string{"offline move m lists/2025 work done", "offline move m lists work done", "offline remove-folder lists/2025 done"}, "work:S",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := fresh(t, "lists", "work")
			w.mb.Merge.DeletedOnline = merge.Apply
			w.mb.Folders = []merge.Rule{{Match: "lists", Archive: [2]merge.Pattern{merge.Offline: "%Y"}}}
			w.online.deliver("lists", "m", "S", -365*24*60)
			w.sync()
			w.offline.copy("lists/2025", "m", "lists")
			w.sync()
			tt.change(w.online)
			wantDid(t, w.sync(), tt.want...)
			w.wantWhere("m", [2]string{tt.where, tt.where})
			w.settled()
		})
	}
}

// TestLastName: a sync is about to remove one of two placements online. Meanwhile a
// client moves the other onto it: both are names of one file, so one just goes. The
// one that is left is the mail.
func TestLastName(t *testing.T) {
	w := fresh(t, "work")
	w.online.deliver("INBOX", "m", "S", 1)
	w.online.copy("INBOX", "m", "work")
	w.sync()
	w.offline.delete("work", "m")
	res, err := w.trySync(engine.Options{Progress: once(engine.StageMerge, func() { w.online.delete("INBOX", "m") })})
	must(t, err)
	wantDid(t, res, "online delete m work raced")
	w.wantWhere("m", [2]string{"work:S", "INBOX:S"})
}

// between is a host that lets something happen before a batch with removals.
type between struct {
	host.Host
	do func()
}

func (b between) Apply(ctx context.Context, batch host.Batch, done func(int, apply.Result)) error {
	if slices.ContainsFunc(batch.Steps, func(s host.Step) bool { return s.Op.Kind == apply.Unlink }) {
		b.do()
	}
	return b.Host.Apply(ctx, batch, done)
}

// TestSecondNameHasBecomeTheLast: a mail with two names in a folder is moved by a
// sync, which is a rename of one, and later the removal of the other. Before that a
// client moves it back, onto the other name: that is the last one then, and stays.
func TestSecondNameHasBecomeTheLast(t *testing.T) {
	w := fresh(t, "work")
	w.online.deliver("INBOX", "m", "S", 1)
	w.sync()
	zz := filepath.Join(w.online.dirOf("INBOX"), "cur", "zz:2,S")
	must(t, os.Link(w.online.mustFind("INBOX", "m"), zz))
	w.sync()
	w.offline.move("INBOX", "m", "work")
	res, err := engine.Sync(t.Context(), w.mb, stateDir(w.dir), engine.Options{Connect: func(ctx context.Context, mb config.Mailbox) (host.Host, error) {
		h, err := engine.ConnectLocal(ctx, mb)
		return between{h, func() {
			m := w.online.mustFind("work", "m")
			must(t, os.Rename(m, zz)) // does nothing: both are one file
			must(t, os.Remove(m))
		}}, err
	}})
	must(t, err)
	wantDid(t, res, "online move m INBOX work done", "online move m INBOX work raced")
	if w.online.find("INBOX", "zz") == "" {
		t.Error("the mail is lost online")
	}
}

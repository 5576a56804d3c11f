package crashtest

import (
	"os"
	"path/filepath"
	"testing"

	"snapmerge/internal/engine"
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

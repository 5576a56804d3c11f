package crashtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
	"snapmerge/merge"
)

// A calendar is a world with a clock of its own. It begins half a year ago, so
// that what the tests write has a ctime after every sync.
type calendar struct {
	*world
	now time.Time
}

// aged makes a world in which the folder list keeps mail for a month online.
func aged(t *testing.T, change func(*merge.Rule)) *calendar {
	w := newWorld(t, btrfstest.Shared(t).Path)
	rule := merge.Rule{Match: "list", Keep: &merge.Keep{Unit: merge.KeepMonths, N: 1}}
	if change != nil {
		change(&rule)
	}
	w.mb.Folders = []merge.Rule{rule}
	w.online.makeFolder("list")
	return &calendar{w, time.Now().UTC().Truncate(time.Second).AddDate(0, 0, -180)}
}

// mail puts a mail into a folder's cur/, received so many days ago by this clock.
func (c *calendar) mail(s store, folder, key, flags string, days int) {
	c.t.Helper()
	s.deliver(folder, key, flags, len(key))
	c.date(s, folder, key, days)
}

func (c *calendar) date(s store, folder, key string, days int) {
	c.t.Helper()
	at := c.now.AddDate(0, 0, -days)
	must(c.t, os.Chtimes(s.mustFind(folder, key), at, at))
}

// after lets days pass and syncs.
func (c *calendar) after(days int) *engine.Result {
	c.t.Helper()
	c.now = c.now.AddDate(0, 0, days)
	res, err := c.trySync(c.options())
	must(c.t, err)
	if n := len(res.Record.Pending.Held); n > 0 {
		c.t.Errorf("held: %+v", res.Record.Pending.Held)
	}
	return res
}

// quiet syncs once more: there must be nothing to do.
func (c *calendar) quiet() {
	c.t.Helper()
	if res := c.after(0); len(res.Record.Report.Actions) > 0 {
		c.t.Errorf("the sync after it has actions: %+v", res.Record.Report.Actions)
	}
}

func (c *calendar) options() engine.Options {
	return engine.Options{Now: func() time.Time { return c.now }}
}

func wantNotes(t *testing.T, res *engine.Result, want ...string) {
	t.Helper()
	if d := cmp.Diff(want, res.Record.Report.Notes); d != "" {
		t.Errorf("notes (-want +got):\n%s", d)
	}
}

// TestKeepFrom: mail of a sender whom the rule names stays online whatever its age,
// however its From header is written; whose name only looks like it goes; and what
// can not be read stays, and the sync says so.
func TestKeepFrom(t *testing.T) {
	const stays, goes, doubt = "list:S list:S", " list:S", "list:S list:S?"
	for i, test := range []struct{ head, want string }{
		{"From: torvalds@example.org", stays},
		{"From: Linus Torvalds <TORVALDS@Example.ORG>", stays},
		{"FROM:torvalds@example.org", stays},
		{"From: =?utf-8?q?Linus_=C3=9F?= <torvalds@example.org>", stays},
		{"From: \"Torvalds, Linus\" <torvalds@example.org>", stays},
		{"From: Linus\r\n\t<torvalds@example.org>", stays},
		{"From: ann@example.org, torvalds@example.org", stays},
		{"From: greg@KERNEL.org", stays},
		{"Subject no colon\r\nFrom: torvalds@example.org", stays},
		{"From greg@kernel.org Mon Mar  2 2026\r\nFrom: ann@example.org", goes},
		{"From: ann@example.org", goes},
		{"From: greg@kernel.org.example.org", goes},
		{"From: \"torvalds@example.org\" <ann@example.org>", goes},
		{"From: =?utf-8?q?torvalds=40example=2Eorg?= <ann@example.org>", goes},
		{"From: ann@example.org (torvalds@example.org)", goes},
		{"From: ann@example.org\r\nFrom: torvalds@example.org", goes},
		{"X-From: torvalds@example.org\r\nFrom: ann@example.org\r\nSender: torvalds@example.org", goes},
		{"From: ann@example.org\r\n\r\nFrom: torvalds@example.org", goes},
		{"Subject: none", doubt},
		{"From: Linus", doubt},
		{"From: <torvalds@example.org", stays},
		{"From:", doubt},
		{"From: a\x00\xff@b", doubt},
		{"X: " + strings.Repeat("x", 70_000) + "\r\nFrom: torvalds@example.org", doubt},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			c := aged(t, func(r *merge.Rule) { r.KeepFrom = []string{"torvalds@*", "*@kernel.org"} })
			c.online.drop("list", "mail:2,S", test.head+"\r\n\r\nHello.\r\n")
			c.date(c.online, "list", "mail", 20)
			c.after(0)
			res := c.after(20)
			want, unread := strings.CutSuffix(test.want, "?")
			got := look(t, c.online.path).where("mail") + " " + look(t, c.offline.path).where("mail")
			if got != want {
				t.Errorf("%.60q: %q, want %q", test.head, got, want)
			}
			if unread {
				wantNotes(t, res, "1 mail not expired, for the sender can not be read and a rule keeps mail by its sender")
			} else {
				wantNotes(t, res)
			}
			if again := c.after(0); len(again.Record.Report.Actions) > 0 || unread != (len(again.Record.Report.Notes) > 0) {
				t.Errorf("then %+v, notes %q", again.Record.Report.Actions, again.Record.Report.Notes)
			}
		})
	}
}

// TestKeepFlagged: a flag keeps mail online; so does one that is set at home before
// the sync in which the mail would go. Without it the mail goes at the next sync.
// A flag on mail that has gone does not bring it back.
func TestKeepFlagged(t *testing.T) {
	c := aged(t, nil)
	for _, key := range []string{"plain", "flagged", "athome"} {
		c.mail(c.online, "list", key, "S", 20)
	}
	c.online.flag("list", "flagged", "F")
	c.after(0)
	c.offline.flag("list", "athome", "F")
	wantDid(t, c.after(20), "online flag athome list list done", "online expire plain list done")
	c.offline.flag("list", "plain", "F")
	c.quiet()
	c.wantWhere("plain", [2]string{"", "list:FS"})
	c.offline.flag("list", "athome", "-F")
	c.online.flag("list", "flagged", "-F")
	res := c.after(1)
	wantDid(t, res, "offline flag flagged list list done", "online expire athome list done", "online expire flagged list done")
	c.quiet()

	never := false
	c = aged(t, func(r *merge.Rule) { r.KeepFlagged = &never })
	c.mail(c.online, "list", "flagged", "FS", 20)
	c.after(0)
	wantDid(t, c.after(20), "online expire flagged list done")
}

// TestBroughtOnline: mail that has expired is online again: put back by hand, with
// the name that it had; moved there by a mail program, which makes a new file of it
// and deletes home's; flagged while it is there. It is at home once, stays online
// for a month from then on (or as long as it is flagged), and goes once.
func TestBroughtOnline(t *testing.T) {
	c := aged(t, nil)
	keys := []string{"byhand", "byclient", "flagged"}
	for _, key := range keys {
		c.mail(c.online, "list", key, "S", 20)
	}
	c.after(0)
	if n := c.after(20).Record.Report.Online.Expired; n != 3 {
		t.Fatalf("%d expired", n)
	}
	for _, key := range []string{"byhand", "flagged"} {
		home := c.offline.mustFind("list", key)
		command(t, "cp", "-p", home, filepath.Join(c.online.dirOf("list"), "cur", filepath.Base(home)))
	}
	c.online.flag("list", "flagged", "F")
	home := c.offline.mustFind("list", "byclient")
	command(t, "cp", "-p", home, filepath.Join(c.online.dirOf("list"), "cur", "other:2,S"))
	c.offline.delete("list", "byclient")
	c.after(1)
	for key, want := range map[string]string{"byhand": "list:S", "other": "list:S", "flagged": "list:FS", "byclient": ""} {
		c.wantWhere(key, [2]string{want, want})
	}
	c.quiet()
	if res := c.after(27); res.Record.Report.Online.Expired > 0 {
		t.Errorf("after 27 days: %+v", res.Record.Report.Actions)
	}
	wantDid(t, c.after(5), "online expire byhand list done", "online expire other list done")
	c.quiet()
	c.online.flag("list", "flagged", "-F")
	wantDid(t, c.after(1), "offline flag flagged list list done", "online expire flagged list done")
	c.quiet()
	if n := len(files(t, c.offline.path)); n != 3 {
		t.Errorf("home has %d mails, want 3", n)
	}
}

// TestMaxExpire: no sync expires more than max_expire; the oldest go first, the
// rest waits, and each sync says so.
func TestMaxExpire(t *testing.T) {
	c := aged(t, nil)
	c.mb.Merge.MaxExpire = 3
	for i := range 8 {
		c.mail(c.online, "list", fmt.Sprintf("mail%d", i), "S", 28-i) // the first is the oldest
	}
	c.after(0)
	c.now = c.now.AddDate(0, 0, 25)
	for round, want := range [][]string{{"mail0", "mail1", "mail2"}, {"mail3", "mail4", "mail5"}, {"mail6", "mail7"}, nil} {
		res := c.after(0)
		for i := range want {
			want[i] = "online expire " + want[i] + " list done"
		}
		wantDid(t, res, want...)
		notes := map[int][]string{0: {"5 mails not expired yet, for max_expire is reached: the next sync goes on"}, 1: {"2 mails not expired yet, for max_expire is reached: the next sync goes on"}}
		wantNotes(t, res, notes[round]...)
	}
}

// TestClockInDoubt: nothing expires by a clock that is behind the last sync's, nor
// at once by one that is far ahead of it, nor mail that is of the future; each time
// the sync says so. By the right clock it expires.
func TestClockInDoubt(t *testing.T) {
	c := aged(t, nil)
	c.mail(c.online, "list", "mail", "S", 20)
	c.after(0)
	c.now = c.now.AddDate(0, 0, 20)
	right := c.now
	c.now = right.AddDate(-1, 0, 0)
	res := c.after(0)
	wantDid(t, res)
	wantNotes(t, res, "the clock is behind that of the last sync: nothing expires and nothing is filed")
	c.now = right
	// To the clock that was set back, the right one seems to be far ahead.
	res = c.after(0)
	wantDid(t, res)
	wantNotes(t, res, "1 mail not expired, for the last sync is more than 30 days ago and longer than they are kept: if the clock is right, the next sync expires them")
	wantDid(t, c.after(0), "online expire mail list done")

	c = aged(t, nil)
	c.mail(c.online, "list", "fresh", "S", 0)
	c.after(0)
	res = c.after(40)
	wantDid(t, res)
	wantNotes(t, res, "1 mail not expired, for the last sync is more than 30 days ago and longer than they are kept: if the clock is right, the next sync expires them")
	wantDid(t, c.after(0), "online expire fresh list done")

	c = aged(t, func(r *merge.Rule) { r.Keep = &merge.Keep{Unit: merge.KeepNone} })
	c.mail(c.online, "list", "future", "S", -300)
	for range 2 {
		res = c.after(0)
		if res.Record.Report.Online.Expired > 0 {
			t.Error("mail of the future has expired")
		}
		wantNotes(t, res, "1 mail not expired, received in the future by this clock")
	}
}

// TestServerExpires: what the server has dropped by itself, as Dovecot's autoexpunge
// does, and the rule would have dropped too, is no deletion, although deletions
// online are to be applied. What the rule would have kept is one.
func TestServerExpires(t *testing.T) {
	c := aged(t, nil)
	c.mb.Merge.DeletedOnline = merge.Apply
	for key, flags := range map[string]string{"due": "S", "flagged": "FS", "young": "S"} {
		c.mail(c.online, "list", key, flags, 20)
	}
	c.date(c.online, "list", "young", 0)
	c.after(0)
	for _, key := range []string{"due", "flagged", "young"} {
		c.online.delete("list", key)
	}
	wantDid(t, c.after(20), "offline delete flagged list done", "offline delete young list done")
	c.wantWhere("due", [2]string{"", "list:S"})
	c.quiet()
	c.after(100)
	c.wantWhere("due", [2]string{"", "list:S"})
}

// TestOldestLeft: the report says what the oldest mail is that stays online, also
// when the same sync copies, moves or flags it there.
func TestOldestLeft(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(home store)
		left string // which mail is the oldest of list afterwards
	}{
		{"nothing", func(store) {}, "young"},
		{"copied", func(home store) { home.copy("list", "young", "INBOX") }, "young"},
		{"flagged", func(home store) { home.flag("list", "young", "F") }, "young"},
		{"moved away", func(home store) { home.move("list", "young", "INBOX") }, "youngest"},
		{"deleted", func(home store) { home.delete("list", "young") }, "youngest"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := aged(t, nil)
			c.mail(c.online, "list", "old", "S", 20)
			c.mail(c.online, "list", "young", "S", 5)
			c.mail(c.online, "list", "youngest", "S", 4)
			received := map[string]time.Time{"young": c.now.AddDate(0, 0, -5), "youngest": c.now.AddDate(0, 0, -4)}
			c.after(0)
			test.do(c.offline)
			rep := c.after(20).Record.Report
			if len(rep.Expiry) != 1 || rep.Online.Expired != 1 || !rep.Expiry[0].Oldest.Equal(received[test.left]) {
				t.Errorf("expired %+v, want the oldest left to be %s, received %v", rep.Expiry, test.left, received[test.left])
			}
		})
	}
}

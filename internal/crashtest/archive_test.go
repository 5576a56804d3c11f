package crashtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snapmerge/internal/btrfstest"
	"snapmerge/merge"
)

// filing makes a world that files list by month online and by year at home, with
// its clock at noon of 15 March 2026.
func filing(t *testing.T, change func(*merge.Rule)) *calendar {
	c := aged(t, func(r *merge.Rule) {
		r.Keep = nil
		r.Archive = [2]merge.Pattern{merge.Online: "%Y-%m", merge.Offline: "%Y"}
		if change != nil {
			change(r)
		}
	})
	c.now = time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)
	return c
}

// received puts a mail into a folder, with that date.
func (c *calendar) received(s store, folder, sub, key, date string) {
	c.t.Helper()
	at, err := time.Parse(time.DateTime, date+" 12:00:00")
	if err != nil {
		at, err = time.Parse(time.DateTime, date)
	}
	must(c.t, err)
	s.makeFolder(folder)
	if sub == "new" {
		s.arrive(folder, key, len(key))
	} else {
		s.deliver(folder, key, "S", len(key))
	}
	must(c.t, os.Chtimes(s.mustFind(folder, key), at, at))
}

// wantFolders compares the folders of the family list.
func (c *calendar) wantFolders(online, offline string) {
	c.t.Helper()
	for i, s := range []store{c.online, c.offline} {
		fs := slices.DeleteFunc(look(c.t, s.path).Folders, func(f string) bool { return !strings.HasPrefix(f, "list") })
		slices.Sort(fs)
		if got, want := strings.Join(fs, " "), []string{online, offline}[i]; got != want {
			c.t.Errorf("%s: folders %s, want %s", s.path, got, want)
		}
	}
}

// TestArchiveDelivery: mail that a filter delivers straight into a subfolder comes
// home as the mail of one folder, wherever the two sides file it; and is filed online
// by its date, whatever the filter has thought. What is in new/ stays there until
// somebody has opened the folder.
func TestArchiveDelivery(t *testing.T) {
	c := filing(t, nil)
	c.received(c.online, "list/2026-02", "cur", "right", "2026-02-10")
	c.received(c.online, "list/2025-12", "cur", "wrong", "2026-02-11")
	c.received(c.online, "list/2025-12", "cur", "lastyear", "2025-12-24")
	c.received(c.online, "list/2026-03", "cur", "current", "2026-03-14")
	c.received(c.online, "list/2026-02", "new", "unread", "2026-02-12")
	c.after(0)
	for key, want := range map[string][2]string{
		"right": {"list/2026-02:S", "list:S"}, "wrong": {"list/2026-02:S", "list:S"},
		"lastyear": {"list/2025-12:S", "list/2025:S"}, "current": {"list:S", "list:S"}, "unread": {"list/2026-02:", ""},
	} {
		c.wantWhere(key, want)
	}
	c.wantFolders("list list/2025-12 list/2026-02 list/2026-03", "list list/2025") // a person has made them
	c.quiet()
	must(t, os.Rename(c.online.mustFind("list/2026-02", "unread"), filepath.Join(c.online.dirOf("list/2026-02"), "cur", "unread:2,")))
	wantDid(t, c.after(0), "offline place unread list done")
	c.quiet()
}

// TestArchiveMoves: into the family and out of it a mail moves on the other side, too;
// within it a mail goes back to where it belongs, and the other side is left alone.
func TestArchiveMoves(t *testing.T) {
	c := filing(t, nil)
	for _, key := range []string{"in", "inhome"} {
		c.received(c.online, "INBOX", "cur", key, "2025-11-05")
	}
	for _, key := range []string{"out", "outhome", "within", "withinhome", "stays"} {
		c.received(c.online, "list", "cur", key, "2025-11-06")
	}
	c.after(0)
	c.wantWhere("out", [2]string{"list/2025-11:S", "list/2025:S"})
	c.quiet()
	c.online.move("INBOX", "in", "list")
	c.offline.move("INBOX", "inhome", "list/2025")
	c.online.move("list/2025-11", "out", "INBOX")
	c.offline.move("list/2025", "outhome", "INBOX")
	c.online.move("list/2025-11", "within", "list")
	c.offline.makeFolder("list/2019")
	c.offline.move("list/2025", "withinhome", "list/2019")
	wantDid(t, c.after(1),
		"offline move in INBOX list/2025 done", "offline move withinhome list/2019 list/2025 done", "offline move out list/2025 INBOX done",
		"online move inhome INBOX list/2025-11 done", "online move in list list/2025-11 done",
		"online move within list list/2025-11 done", "online move outhome list/2025-11 INBOX done")
	for key, want := range map[string][2]string{
		"in": {"list/2025-11:S", "list/2025:S"}, "inhome": {"list/2025-11:S", "list/2025:S"},
		"out": {"INBOX:S", "INBOX:S"}, "outhome": {"INBOX:S", "INBOX:S"},
		"within": {"list/2025-11:S", "list/2025:S"}, "withinhome": {"list/2025-11:S", "list/2025:S"},
	} {
		c.wantWhere(key, want)
	}
	c.wantFolders("list list/2025-11", "list list/2019 list/2025")
	c.quiet()
}

// TestArchiveNextPeriod: when a month ends its mail goes into a subfolder online, and
// when the year ends at home; only that mail, and once.
func TestArchiveNextPeriod(t *testing.T) {
	c := filing(t, nil)
	c.received(c.online, "list", "cur", "march", "2026-03-10")
	c.received(c.online, "list", "cur", "other", "2025-03-10")
	c.after(0)
	wantDid(t, c.after(16)) // 31 March
	c.received(c.online, "list", "cur", "april", "2026-04-01")
	wantDid(t, c.after(1), "offline place april list done",
		"online make-folder list/2026-03 done", "online move march list list/2026-03 done")
	c.quiet()
	for range 8 {
		c.after(30)
	}
	c.wantWhere("april", [2]string{"list/2026-04:S", "list:S"})
	c.now = time.Date(2026, 12, 31, 23, 59, 0, 0, time.UTC)
	wantDid(t, c.after(0))
	c.now = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	wantDid(t, c.after(0), "offline make-folder list/2026 done",
		"offline move april list list/2026 done", "offline move march list list/2026 done")
	c.quiet()
}

// TestArchiveClash: two mails of one name are in base and subfolder. Filing one
// would replace the other: it stays where it is, and nothing is lost.
func TestArchiveClash(t *testing.T) {
	c := filing(t, nil)
	c.received(c.online, "list", "cur", "mail", "2026-02-10")
	c.after(0)
	c.wantWhere("mail", [2]string{"list/2026-02:S", "list:S"})
	c.online.makeFolder("list/2026-01")
	name := filepath.Base(c.online.mustFind("list/2026-02", "mail"))
	must(t, os.Rename(c.online.mustFind("list/2026-02", "mail"), filepath.Join(c.online.dirOf("list"), "cur", name)))
	// Another mail takes the place in which the first belongs.
	c.online.drop("list/2026-02", name, "another mail\r\n")
	at := time.Date(2026, 2, 11, 0, 0, 0, 0, time.UTC)
	must(t, os.Chtimes(c.online.mustFind("list/2026-02", "mail"), at, at))
	home := c.offline.text("list", "mail")
	for range 2 {
		if _, err := c.trySync(c.options()); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.online.text("list/2026-02", "mail.2"); got != home {
		t.Errorf("the first one is %q", got)
	}
	if got := c.online.text("list/2026-02", "mail"); got != "another mail\r\n" {
		t.Errorf("the other one is %q", got)
	}
	names, err := filepath.Glob(filepath.Join(c.offline.dirOf("list"), "cur", "mail*"))
	must(t, err)
	if len(names) != 2 {
		t.Errorf("home has %q", names)
	}
	for _, name := range names {
		if text, err := os.ReadFile(name); err != nil || string(text) != home && string(text) != "another mail\r\n" {
			t.Errorf("home's %s is %q, %v", name, text, err)
		}
	}
}

// TestArchiveZone: a period ends when it ends in the mailbox's time zone.
func TestArchiveZone(t *testing.T) {
	auckland, err := time.LoadLocation("Pacific/Auckland") // 13 hours ahead in February
	must(t, err)
	c := filing(t, nil)
	c.mb.Merge.Timezone = auckland
	c.received(c.online, "list", "cur", "january", "2026-01-31 10:59:59")
	c.received(c.online, "list", "cur", "february", "2026-01-31 11:00:00")
	c.received(c.online, "list", "cur", "year", "2025-12-31 11:00:00")
	c.received(c.online, "list", "cur", "lastyear", "2025-12-31 10:59:59")
	c.after(0)
	for key, want := range map[string][2]string{
		"january": {"list/2026-01:S", "list:S"}, "february": {"list/2026-02:S", "list:S"},
		"year": {"list/2026-01:S", "list:S"}, "lastyear": {"list/2025-12:S", "list/2025:S"},
	} {
		c.wantWhere(key, want)
	}
	c.quiet()
	c.received(c.online, "list", "cur", "march", "2026-03-15")
	c.after(0)
	c.now = time.Date(2026, 3, 31, 10, 59, 59, 0, time.UTC)
	wantDid(t, c.after(0))
	c.now = c.now.Add(time.Second)
	wantDid(t, c.after(0), "online make-folder list/2026-03 done", "online move march list list/2026-03 done")
}

// TestArchiveFoldersGo: subfolders that syncs have made go when they are empty; those
// that a person has made, or put something into, stay.
func TestArchiveFoldersGo(t *testing.T) {
	c := filing(t, func(r *merge.Rule) { apply := merge.Apply; r.DeletedOnline = &apply })
	c.offline.makeFolder("list/2024")
	for i, date := range []string{"2023-05-01", "2024-05-01", "2025-05-01", "2025-06-01"} {
		c.received(c.online, "list", "cur", fmt.Sprintf("m%d", i), date)
	}
	c.after(0)
	c.wantFolders("list list/2023-05 list/2024-05 list/2025-05 list/2025-06", "list list/2023 list/2024 list/2025")
	c.received(c.offline, "list/2023", "cur", "own", "2023-07-01")
	for i, folder := range []string{"list/2023-05", "list/2024-05", "list/2025-05", "list/2025-06"} {
		c.online.delete(folder, fmt.Sprintf("m%d", i))
	}
	c.after(1)
	c.wantFolders("list", "list list/2023 list/2024")
	c.quiet()
}

// TestKillArchive: the sync that empties the subfolders is killed at a system call.
// The next one leaves the mail where it belongs, and only the folders with mail.
func TestKillArchive(t *testing.T) {
	points := killPoints(emptying(t).callsByName())
	if os.Getenv("SNAPMERGE_KILLS") != "all" {
		rng := random(t)
		rng.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		slices.SortStableFunc(points, func(a, b kill) int { return strings.Compare(b.call[:2], a.call[:2]) }) // unlinkat first: rmdir
		points = points[:min(16, len(points))]
	}
	for _, k := range points {
		t.Run(k.String(), func(t *testing.T) {
			t.Parallel()
			c := emptying(t)
			if !c.killedAt(k) {
				t.Error("the process was not killed")
			}
			c.sync()
			c.wantFolders("list list/2001-03", "list list/2001")
			for i, want := range [][2]string{{"", ""}, {"", ""}, {"", ""}, {"list/2001-03:S", "list/2001:S"}} {
				c.wantWhere(fmt.Sprintf("m%d", i), want)
			}
			// Also the folders that the killed sync has made are known to be ours.
			c.online.delete("list/2001-03", "m3")
			c.sync()
			c.wantFolders("list", "list")
			c.settled()
		})
	}
}

// emptying is a world in which the next sync empties subfolders that syncs have made,
// and makes new ones.
func emptying(t *testing.T) *calendar {
	w := newWorld(t, btrfstest.Shared(t).Path)
	c := &calendar{w, time.Now()}
	w.online.makeFolder("list")
	for i, date := range []string{"2000-05-01", "2000-06-01", "1999-05-01"} {
		c.received(c.online, "list", "cur", fmt.Sprintf("m%d", i), date)
	}
	c.sync()
	c.sync()
	c.wantFolders("list list/1999-05 list/2000-05 list/2000-06", "list list/1999 list/2000")
	c.received(c.online, "list", "cur", "m3", "2001-03-01")
	c.online.delete("list/2000-05", "m0")
	c.offline.delete("list/2000", "m1")
	c.online.delete("list/1999-05", "m2")
	return c
}

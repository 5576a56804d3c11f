package crashtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// A fate is what comes of a folder's mail online.
type fate struct {
	Mails int
	Bytes int64
}

// TestForecast: what "status --rules" says from the index is what a sync at that
// moment would do: how many mails and bytes of each folder expire, what does not and
// why; and nothing more happens before the date that it names, but right after it.
// Among the mail are flagged ones, some of kept senders, one without a sender, one
// that was brought back, one that waits for a decision, and
// two that home has not: one that nobody has seen yet, one that it has declined.
func TestForecast(t *testing.T) {
	c := aged(t, func(r *merge.Rule) {
		r.Keep = &merge.Keep{Unit: merge.KeepWeeks, N: 3}
		r.KeepFrom = []string{"friend*@*"}
		r.Archive = [2]merge.Pattern{merge.Online: "%Y-%m"}
	})
	none := merge.Keep{Unit: merge.KeepNone}
	weeks, ignore := merge.Keep{Unit: merge.KeepWeeks, N: 3}, merge.Ignore
	c.mb.Folders = append(c.mb.Folders, merge.Rule{Match: "news", Keep: &none}, merge.Rule{Match: "declined", Keep: &weeks, DeletedOffline: &ignore})
	c.mb.Merge.DeletedOffline = merge.Hold
	c.online.makeFolder("news")
	c.online.makeFolder("declined")
	c.mail(c.online, "declined", "alone", "S", 0)
	for i := range 12 {
		c.mail(c.online, "list", fmt.Sprintf("mail%02d", i), "S", 27-2*i)
	}
	c.mail(c.online, "list", "flagged1", "FS", 27)
	c.mail(c.online, "list", "flagged2", "FS", 0)
	c.mail(c.online, "list", "friend1", "S", 27)
	c.mail(c.online, "list", "friend2", "S", 1)
	c.online.drop("list", "nobody:2,S", "Subject: no sender\r\n\r\n")
	c.date(c.online, "list", "nobody", 26)
	for i, key := range []string{"unread1", "unread2"} {
		c.online.arrive("list", key, 3)
		c.date(c.online, "list", key, 26-26*i)
	}
	c.after(0)
	c.after(10) // some expire
	c.offline.delete("declined", "alone")
	home := c.offline.mustFind("list", "mail00")
	c.online.makeFolder("list")
	command(t, "cp", "-p", home, filepath.Join(c.online.dirOf("list"), "cur", filepath.Base(home)))
	c.mail(c.online, "news", "paper", "S", 1)
	c.after(1)
	c.offline.delete("list", "mail11")
	if _, err := c.trySync(c.options()); err != nil {
		t.Fatal(err)
	}
	c.wantHeld("deleted-offline mail11")
	due := 0
	for days := 0; days < 45; days += 4 {
		at := c.now.AddDate(0, 0, days)
		due += c.foretold(at)
	}
	if due < 15 {
		t.Errorf("%d mails were due in all: this shows little", due)
	}
	// Without an index it is said that nothing is known.
	must(t, os.Remove(engine.IndexPath(stateDir(c.dir), "chris")))
	f, err := engine.NewForecast(c.mb, stateDir(c.dir), c.newest(), c.now)
	if !errors.Is(err, engine.ErrNoIndex) || len(f.Folders) < 3 {
		t.Errorf("without an index: %v, %+v", err, f)
	}
}

// foretold compares the forecast for a moment with what a sync would do then.
func (c *calendar) foretold(at time.Time) (due int) {
	c.t.Helper()
	f, err := engine.NewForecast(c.mb, stateDir(c.dir), c.newest(), at)
	must(c.t, err)
	said := map[string]fate{}
	var next time.Time
	for _, r := range f.Folders {
		if r.Due > 0 {
			said[r.Folder] = fate{r.Due, r.DueBytes}
			due += r.Due
		}
		if !r.Next.IsZero() && (next.IsZero() || r.Next.Before(next)) {
			next = r.Next
		}
	}
	does, notes := c.would(at)
	if d := cmp.Diff(does, said); d != "" {
		c.t.Errorf("%v: expires (-sync +forecast):\n%s", at, d)
	}
	if d := cmp.Diff(notes, f.Notes); d != "" {
		c.t.Errorf("%v: notes (-sync +forecast):\n%s", at, d)
	}
	far := c.now.AddDate(0, 0, 29) // by a clock that is farther ahead nothing expires at once
	switch {
	case at.After(far):
		return due
	case next.IsZero() || next.After(far):
		if then, _ := c.would(far); !cmp.Equal(then, does) {
			c.t.Errorf("%v: nothing is next, but at %v: %v", at, far, then)
		}
		return due
	}
	if then, _ := c.would(next); !cmp.Equal(then, does) {
		c.t.Errorf("%v: next is %v, but then: %v", at, next, then)
	}
	if then, _ := c.would(next.Add(1)); cmp.Equal(then, does) {
		c.t.Errorf("%v: next is %v, but right after it nothing more expires", at, next)
	}
	return due
}

// would is what a sync at that moment would expire, and its notes.
func (c *calendar) would(at time.Time) (map[string]fate, []string) {
	c.t.Helper()
	res, err := c.trySync(engine.Options{DryRun: true, Now: func() time.Time { return at }})
	must(c.t, err)
	out := map[string]fate{}
	for _, a := range res.Record.Report.Actions {
		if a.Op == merge.Expire.String() {
			f := out[a.From]
			f.Mails, f.Bytes = f.Mails+1, f.Bytes+a.Freed
			out[a.From] = f
		}
	}
	return out, res.Record.Report.Notes
}

func (c *calendar) newest() *state.Record {
	c.t.Helper()
	dir := c.records()
	defer dir.Close()
	rec, _, err := state.NewestRecord(dir)
	must(c.t, err)
	return rec
}

package livetest

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/dovecottest"
	"snapmerge/merge"
	"snapmerge/tree"
)

// A sync that changes only flags and keywords costs clients nothing: UIDs,
// UIDVALIDITY and UIDNEXT stay as they were, a session that is open hears of new
// flags and of nothing else, and so no client loads a mail again.
func TestOnlyFlags(t *testing.T) {
	for _, l := range []tree.Layout{{}, {FS: true}} {
		t.Run(l.String(), func(t *testing.T) {
			t.Parallel()
			testOnlyFlags(t, startPair(t, setup{layout: both(l)}).newWorld(t, "u"))
		})
	}
}

var flagFolders = []string{"INBOX", "work/deep"}

func testOnlyFlags(t *testing.T, w *world) {
	const n = 60
	c := w.login(online)
	c.Do("CREATE work/deep")
	for _, f := range flagFolders {
		for i := range n {
			c.Append(f, []string{"", `\Seen`, `\Seen $Label1`}[i%3], message(fmt.Sprintf("%s-%d", strings.ReplaceAll(f, "/", "-"), i)))
		}
		c.Open("SELECT", f)
	}
	w.sync()
	var open [2][]*dovecottest.Client
	var next [2][]string
	for _, side := range merge.Sides {
		for _, f := range flagFolders {
			s := w.login(side)
			s.Open("SELECT", f)
			s.Idle()
			open[side] = append(open[side], s)
		}
		next[side] = w.uidNext(side)
	}
	// Each side's client changes half of the mails.
	for _, side := range merge.Sides {
		c := w.login(side)
		for _, f := range flagFolders {
			c.Open("SELECT", f)
			from := 1 + n/2*int(side)
			c.Do(`UID STORE %d:%d +FLAGS (\Flagged %s)`, from, from+n/2-1, side)
			c.Do(`UID STORE %d:%d -FLAGS (\Seen $Label1)`, from, from+5)
		}
		c.Close()
	}
	before := [2]view{w.look(online), w.look(home)}
	rec := w.sync()
	if f := rec.Report; f.Online.Flagged != n || f.Offline.Flagged != n || f.Raced > 0 {
		t.Errorf("the sync did %+v %+v, raced %d", f.Online, f.Offline, f.Raced)
	}
	after := [2]view{w.look(online), w.look(home)}
	for _, side := range merge.Sides {
		checkOnlyFlags(t, side, before[side], after[side])
		if d := cmp.Diff(next[side], w.uidNext(side)); d != "" {
			t.Errorf("%s: UIDNEXT (-before +after)\n%s", side, d)
		}
		for i, s := range open[side] {
			hearsFlags(t, fmt.Sprint(side, " ", flagFolders[i]), s, n)
		}
	}
	if d := cmp.Diff(after[online].content(), after[home].content()); d != "" {
		t.Errorf("the sides differ (-online +home)\n%s", d)
	}
}

// checkOnlyFlags: nothing but flags is another one, for a client that kept what
// it has loaded by UIDVALIDITY and UID.
func checkOnlyFlags(t *testing.T, side merge.Side, before, after view) {
	t.Helper()
	type kept struct {
		validity, folder, received, text string
		uid                              int
	}
	cache := func(v view) map[string]kept {
		out := map[string]kept{}
		for _, m := range v.mails {
			out[m.subject] = kept{v.validity[m.folder], m.folder, m.received, m.text, m.uid}
		}
		return out
	}
	if d := cmp.Diff(cache(before), cache(after), cmp.AllowUnexported(kept{})); d != "" {
		t.Errorf("%s: clients must load again (-before +after)\n%s", side, d)
	}
}

var otherNews = regexp.MustCompile(`EXPUNGE|EXISTS|RECENT|BYE|VANISHED`)

// hearsFlags: a session is told the flags of all n mails, and nothing else.
func hearsFlags(t *testing.T, who string, s *dovecottest.Client, n int) {
	t.Helper()
	mails := map[string]bool{}
	heard := s.Hear(10*time.Second, func(lines []string) bool {
		for _, l := range lines {
			if f := strings.Fields(l); len(f) > 2 && f[2] == "FETCH" {
				mails[f[1]] = true
			}
		}
		return len(mails) == n
	})
	heard = append(heard, s.Done()...)
	if len(mails) != n || otherNews.MatchString(strings.Join(heard, "\n")) {
		t.Errorf("%s: told of %d mails, want %d:\n%s", who, len(mails), n, strings.Join(heard, "\n"))
	}
}

func (w *world) uidNext(side merge.Side) (out []string) {
	c := w.login(side)
	defer c.Close()
	for _, f := range flagFolders {
		out = append(out, c.Do("STATUS %s (UIDNEXT UIDVALIDITY MESSAGES)", f)...)
	}
	return out
}

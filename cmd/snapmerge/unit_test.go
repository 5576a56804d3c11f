package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"snapmerge/internal/engine"
	"snapmerge/internal/lock"
	"snapmerge/internal/report"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// The progress line comes after a second, is not redrawn for every mail, and
// goes again. On no terminal there is none: the scripts see that.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := newProgress(&b, "snapmerge: chris")
		written := func() string { // since the last call
			p.mu.Lock()
			defer p.mu.Unlock()
			defer b.Reset()
			return b.String()
		}
		p.update("read", 0, 2)
		time.Sleep(time.Second - time.Millisecond)
		synctest.Wait()
		if got := written(); got != "" {
			t.Errorf("before a second: %q", got)
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if got, want := written(), "\r\x1b[Ksnapmerge: chris: read 0/2"; got != want {
			t.Errorf("after a second: %q, want %q", got, want)
		}
		for i := range 1000 { // 1 ms each: not more than one line in 100 ms
			p.update("change offline", i+1, 1000)
			time.Sleep(time.Millisecond)
		}
		if n := strings.Count(written(), "\r"); n < 8 || n > 10 {
			t.Errorf("%d lines in a second", n)
		}
		p.stop()
		p.update("record", 0, 0)
		if got := written(); got != "\r\x1b[K" {
			t.Errorf("at the end: %q", got)
		}
	})
}

// A sync that is over within a second shows nothing at all.
func TestProgressQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := newProgress(&b, "snapmerge: chris")
		p.update("read", 0, 2)
		p.stop()
		time.Sleep(2 * patience)
		synctest.Wait()
		if b.Len() > 0 {
			t.Errorf("%q", b.String())
		}
	})
}

func TestExitStatus(t *testing.T) {
	problem := fmt.Errorf("mailbox chris: %w", &engine.Problem{Subject: "/srv", Text: "x"})
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{usageError("x", ""), 2},
		{errors.Join(errors.New("x"), problem), 2},
		{fmt.Errorf("lock: %w", lock.ErrLocked), 3},
		{fmt.Errorf("apply: %w", context.Canceled), 130},
		{silent(1), 1},
	} {
		if got := exitStatus(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// 2 says that nothing was touched and 3 that another run is at work: neither is
// the whole truth if another mailbox of the call was synced or failed otherwise.
func TestCombine(t *testing.T) {
	for _, c := range []struct {
		statuses []int
		want     int
	}{
		{nil, 0},
		{[]int{0, 0}, 0},
		{[]int{2}, 2},
		{[]int{2, 2}, 2},
		{[]int{0, 2}, 1},
		{[]int{2, 0}, 1},
		{[]int{3, 3}, 3},
		{[]int{3, 2}, 1},
		{[]int{0, 1}, 1},
		{[]int{0, 130, 2}, 130},
		{[]int{2, 2, 130}, 130},
	} {
		if got := combine(c.statuses); got != c.want {
			t.Errorf("%v: %d, want %d", c.statuses, got, c.want)
		}
	}
}

// An ID may be cut, but only one conflict may begin with it; one unknown among
// several is enough to find nothing.
func TestChoose(t *testing.T) {
	var items []report.Item
	for _, id := range []string{"chris aabbccddeeff", "chris aabb00000000", "ann aabbccddeeff", "ann 123456789abc"} {
		mailbox, id, _ := strings.Cut(id, " ")
		items = append(items, report.Item{Mailbox: mailbox, Held: state.Held{Conflict: merge.Conflict{ID: id}}})
	}
	for _, c := range []struct {
		ids  string
		want string // indexes, or what the error says
	}{
		{"1", "[3]"},
		{"123456789abc", "[3]"},
		{"1 123 12", "[3]"},
		{"1 aabb0", "[1 3]"},
		{"aabb", `conflict "aabb": there are 3 of that ID`},
		{"aabbccddeeff", `conflict "aabbccddeeff": there are 2 of that ID`},
		{"chris:aabbc", "[0]"},
		{"ann:aabb", "[2]"},
		{"chris:aabb", `conflict "chris:aabb": there are 2 of that ID`},
		{"bob:aabb", `conflict "bob:aabb": nothing of that ID waits`},
		{"1 ff", `conflict "ff": nothing of that ID waits`},
		{"123456789abcd", `conflict "123456789abcd": nothing of that ID waits`},
		{":", `conflict ":": nothing of that ID waits`},
	} {
		found, err := choose(items, strings.Fields(c.ids))
		var at []int
		for _, it := range found {
			at = append(at, slices.IndexFunc(items, func(x report.Item) bool { return x.Mailbox == it.Mailbox && x.ID == it.ID }))
		}
		got := fmt.Sprint(at)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.ids, got, c.want)
		}
	}
}

// What several mailboxes share is said once; a joined error is several lines,
// each with its own hint, and nothing that reaches a terminal controls it.
func TestComplain(t *testing.T) {
	var b bytes.Buffer
	a := &app{errs: &b, said: map[string]bool{}}
	root := &engine.Problem{Subject: "snapmerge", Text: "not run as root", Mend: "use sudo"}
	gone := fmt.Errorf("mailbox chris: %w", &engine.Problem{Subject: "/srv", Text: "gone", Mend: "mount it"})
	a.complain("", errors.Join(root, gone))
	a.complain("", errors.Join(root))
	a.complain("mailbox ann: ", fmt.Errorf("offline: apply: %w", context.Canceled))
	a.complain("mailbox ann: ", errors.New("bad\x1b[31m\u202e name"))
	want := `snapmerge: not run as root
snapmerge: hint: use sudo
snapmerge: mailbox chris: /srv: gone
snapmerge: hint: mount it
snapmerge: mailbox ann: offline: apply: interrupted
snapmerge: hint: the next sync finishes the work
snapmerge: mailbox ann: bad\x1b[31m\u202e name
`
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// --older-than looks at how long a conflict has been waiting, not at the mail.
func TestOlderThan(t *testing.T) {
	now := time.Date(2016, 3, 31, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		age    string
		days   int // that the conflict waits
		chosen bool
	}{
		{"2 weeks", 13, false}, {"2 weeks", 15, true}, {"14d", 13, false}, {"14d", 15, true},
		{"1m", 30, false}, {"1m", 32, true}, {"1y", 365, false}, {"1 year", 367, true}, {"", 0, true},
	} {
		pick, err := conflictOptions{older: tt.age}.selection(now)
		if err != nil {
			t.Fatal(err)
		}
		if got := pick(report.Item{Waiting: now.AddDate(0, 0, -tt.days)}); got != tt.chosen {
			t.Errorf("--older-than %q, waiting for %d days: chosen %v", tt.age, tt.days, got)
		}
	}
	for _, bad := range []string{"all", "none", "2", "0d", "d", "-1d", "2 hours", "99999d"} {
		if _, err := (conflictOptions{older: bad}).selection(now); err == nil {
			t.Errorf("--older-than %q is taken", bad)
		}
	}
}

package livetest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/dovecottest"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// A scenario is what a client does on one side, and what the clients of the
// other side see of it after the sync.
type scenario struct {
	name string
	// do are the client's commands, one a line; {read} is the UID of the mail
	// "read" in the selected folder. Beside IMAP there is
	//	LMTP subject     a delivery
	//	APPEND folder (flags) subject
	//	SYNC             a sync in between
	//	ANEW             the client logs in again
	do string
	// told are what sessions of the other side are told that were open all the
	// time, a line each: a session, ":" and a pattern. "idle" listens in INBOX,
	// "noop" has "Archive" selected and asks by NOOP.
	told string
	// sees are lines that a client of the other side sees that logs in after the
	// sync: "INBOX read \Seen"; with "-" in front, the beginning of a line that
	// it does not see.
	sees string
	// folders that it sees too, or with "-" in front does not see.
	folders string
	// renames are folders that the client renames: "Archive Old". Their mail keeps
	// its UIDs on both sides.
	renames string
	at      where
	homes   bool // what is new stays at home: clients online see nothing of it
}

// where says on which side the client of a scenario is; each in turn if it does
// not matter.
type where int

const (
	anywhere where = iota
	atOnline
	atHome
)

// start is what both sides have when a scenario begins: in sync, seen by a
// client on each side, which has given it UIDs.
const start = `
SELECT INBOX
APPEND INBOX (\Seen) read
APPEND INBOX () unseen
APPEND INBOX (\Flagged \Seen $Label1 Zeta) tagged
CREATE Archive
CREATE Empty
CREATE a/b
CREATE lists
APPEND Archive (\Seen Zeta) old
APPEND a/b (\Answered) deep
SELECT INBOX
`

// begin makes the start.
func (w *world) begin() {
	w.t.Helper()
	c := w.login(online)
	w.act(online, c, start)
	c.Close()
	w.sync()
	w.look(home)
}

var uidOf = regexp.MustCompile(`\{(\w+)\}`)

// act has a client do what a scenario says.
func (w *world) act(side merge.Side, c *dovecottest.Client, do string) {
	w.t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(do), "\n") {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "LMTP":
			must(w.t, w.server[side].Deliver(w.user, message(rest)))
		case "SYNC":
			w.sync()
		case "ANEW":
			c.Close()
			*c = *w.login(side)
		case "APPEND":
			folder, rest, _ := strings.Cut(rest, " (")
			flags, subject, _ := strings.Cut(rest, ") ")
			c.Append(folder, flags, message(subject))
		default:
			c.Do("%s", uidOf.ReplaceAllStringFunc(line, func(s string) string {
				hits := strings.TrimPrefix(strings.Join(c.Do("UID SEARCH SUBJECT %q", strings.Trim(s, "{}")), ""), "* SEARCH ")
				return strings.ReplaceAll(hits, " ", ",")
			}))
		}
	}
}

// sessions of the other side that stay open.
type sessions struct{ idle, noop *dovecottest.Client }

func (w *world) listen(side merge.Side) sessions {
	w.t.Helper()
	s := sessions{w.login(side), w.login(side)}
	s.idle.Do("SELECT INBOX")
	s.idle.Idle()
	s.noop.Do("SELECT Archive")
	return s
}

// check waits for what the sessions are told, and looks that it is no more than
// that: a session that is told BYE has to be expected, too.
func (s sessions) check(t testing.TB, told string) {
	t.Helper()
	var idle []*regexp.Regexp
	want := map[string][]*regexp.Regexp{}
	for _, line := range lines(told) {
		who, pattern, _ := strings.Cut(line, ": ")
		want[who] = append(want[who], regexp.MustCompile(pattern))
	}
	idle = want["idle"]
	within := 5 * time.Second
	if len(idle) == 0 {
		within = 50 * time.Millisecond // for a BYE that nobody wants
	}
	got := map[string][]string{"idle": s.idle.Hear(within, func(lines []string) bool { return len(idle) > 0 && match(idle, lines) })}
	reply, err := s.noop.Try("NOOP")
	got["noop"] = reply.Lines
	if err != nil && !strings.Contains(strings.Join(reply.Lines, " "), "BYE") {
		t.Errorf("NOOP: %v", err)
	}
	for who, heard := range got {
		if !match(want[who], heard) {
			t.Errorf("session %q was told %q, want %v", who, heard, want[who])
		}
		if !strings.Contains(told, who+": BYE") && strings.Contains(strings.Join(heard, "\n"), "* BYE") {
			t.Errorf("session %q was thrown out: %q", who, heard)
		}
	}
}

func match(patterns []*regexp.Regexp, lines []string) bool {
	text := strings.Join(lines, "\n")
	return !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return !p.MatchString(text) })
}

// live runs a scenario with the client on that side.
func (sc scenario) live(w *world, side merge.Side) {
	t := w.t
	w.begin()
	other := side.Other()
	listening := w.listen(other)
	c := w.login(side)
	w.act(side, c, sc.do)
	c.Close()
	before := [2]view{w.look(online), w.look(home)}
	before[other] = before[other].renamed(sc.renames)
	rec := w.sync()
	listening.check(t, sc.told)
	after := [2]view{w.look(online), w.look(home)}
	sc.checkSeen(t, after[other])
	if d := cmp.Diff(before[side].content(), after[side].content()); d != "" {
		t.Errorf("the sync changed what the client did (-before +after):\n%s", d)
	}
	if !sc.homes {
		here, there := after[side], after[other]
		if w.sets {
			here, there = asSets(here, there)
		}
		if d := cmp.Diff(here.content(), there.content()); d != "" {
			t.Errorf("the sides differ (-here +there):\n%s", d)
		}
		if d := cmp.Diff(after[side].folders, after[other].folders); d != "" && sc.folders == "" {
			t.Errorf("the folders differ (-here +there):\n%s", d)
		}
	}
	for _, s := range merge.Sides {
		for _, l := range newUIDs(before[s], after[s]) {
			t.Errorf("%s: without need: %s", s, l)
		}
	}
	checkQuiet(t, w.sync())
	if t.Failed() {
		t.Logf("the sync did:\n%s", actions(rec))
	}
}

func (sc scenario) checkSeen(t testing.TB, v view) {
	t.Helper()
	have := v.lines()
	for _, line := range lines(sc.sees) {
		line, not := strings.CutPrefix(line, "-")
		if not == slices.ContainsFunc(have, func(l string) bool { return l == line || not && strings.HasPrefix(l, line) }) {
			t.Errorf("the other side's client sees, among others, %q: %v, want %v; it sees\n%s", line, not, !not, strings.Join(have, "\n"))
		}
	}
	for _, f := range lines(sc.folders) {
		f, not := strings.CutPrefix(f, "-")
		if not == slices.Contains(v.folders, f) {
			t.Errorf("the other side's client sees the folder %q: %v, want %v; it sees %q", f, not, !not, v.folders)
		}
	}
}

// checkQuiet: a sync without changes before it does nothing.
func checkQuiet(t testing.TB, rec *state.Record) {
	t.Helper()
	if len(rec.Report.Actions) > 0 || len(rec.Pending.Held) > 0 {
		t.Errorf("one more sync did, or still had:\n%s", actions(rec))
	}
}

func lines(s string) (out []string) {
	for _, l := range strings.Split(s, "\n") {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// scenarios lives the scenarios of a table, with a pair of servers of their own.
// half: one that can be on each side is on one of them only, in turns.
func scenarios(t *testing.T, s setup, half bool, table []scenario) {
	p := startPair(t, s)
	t.Run("group", func(t *testing.T) { // ends when all in it have
		for i, sc := range table {
			for _, side := range merge.Sides {
				switch {
				case sc.at == atOnline && side == home, sc.at == atHome && side == online:
					continue
				case half && sc.at == anywhere && side == merge.Sides[i%2]:
					continue
				}
				t.Run(fmt.Sprintf("%s/%s", sc.name, side), func(t *testing.T) {
					t.Parallel()
					sc.live(p.newWorld(t, fmt.Sprintf("u%d%s", i, side)), side)
				})
			}
		}
	})
}

package merge

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Deletion says what becomes of a message that one side has deleted. The
// zero value is the careful one.
type Deletion uint8

const (
	Hold   Deletion = iota // a person decides
	Apply                  // it is deleted on the other side too
	Ignore                 // it stays on the other side and is not asked about again
)

var deletionNames = []string{Hold: "hold", Apply: "apply", Ignore: "ignore"}

// String returns the word that the configuration uses.
func (d Deletion) String() string { return word(deletionNames, uint8(d)) }

// ParseDeletion reads "hold", "apply" or "ignore".
func ParseDeletion(s string) (Deletion, error) {
	i, err := parseWord(deletionNames, s)
	return Deletion(i), err
}

// Prefer says which side wins where both moved the same message.
type Prefer uint8

const (
	Newest        Prefer = iota // the side that moved last, by ctime; unknown or equal: offline
	PreferOffline               // always the offline side
	PreferOnline                // always the online side
)

var preferNames = []string{Newest: "newest", PreferOffline: "offline", PreferOnline: "online"}

// String returns the word that the configuration uses.
func (p Prefer) String() string { return word(preferNames, uint8(p)) }

// ParsePrefer reads "newest", "offline" or "online".
func ParsePrefer(s string) (Prefer, error) {
	i, err := parseWord(preferNames, s)
	return Prefer(i), err
}

func word(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return strconv.Itoa(int(i))
}

func parseWord(names []string, s string) (int, error) {
	for i, name := range names {
		if s == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%q is none of %s", s, strings.Join(names, ", "))
}

// Keep says how long mail stays online. The zero value keeps everything.
type Keep struct {
	Unit KeepUnit
	N    int // how many units; 0 with KeepAll and KeepNone
}

// KeepUnit is what Keep.N counts.
type KeepUnit uint8

const (
	KeepAll    KeepUnit = iota // for ever
	KeepNone                   // not at all
	KeepDays                   // calendar days: the same time of day, N days later
	KeepWeeks                  // seven calendar days each
	KeepMonths                 // calendar months
	KeepYears                  // twelve calendar months each
)

var keepUnits = []string{KeepAll: "all", KeepNone: "none",
	KeepDays: "days", KeepWeeks: "weeks", KeepMonths: "months", KeepYears: "years"}

// maxKeep is the largest N: four digits say more than any mailbox needs, and
// no sum of dates can overflow.
const maxKeep = 9999

// ParseKeep reads "all", "none" or a number from 1 to 9999 and a unit, one
// space between: "4 months", "1 year".
func ParseKeep(s string) (Keep, error) {
	switch s {
	case keepUnits[KeepAll]:
		return Keep{}, nil
	case keepUnits[KeepNone]:
		return Keep{Unit: KeepNone}, nil
	}
	number, unit, _ := strings.Cut(s, " ")
	n, err := strconv.ParseUint(number, 10, 16)
	if err == nil && n >= 1 && n <= maxKeep && number[0] != '0' {
		for u := KeepDays; u <= KeepYears; u++ {
			if unit == keepUnits[u] || unit+"s" == keepUnits[u] {
				return Keep{Unit: u, N: int(n)}, nil
			}
		}
	}
	return Keep{}, fmt.Errorf(`%q is none of all, none, N days, N weeks, N months, N years (N from 1 to %d)`, s, maxKeep)
}

// String returns what ParseKeep reads.
func (k Keep) String() string {
	unit := word(keepUnits, uint8(k.Unit))
	switch {
	case k.Unit == KeepAll || k.Unit == KeepNone:
		return unit
	case k.N == 1:
		return "1 " + strings.TrimSuffix(unit, "s")
	}
	return strconv.Itoa(k.N) + " " + unit
}

// Expired reports whether the time of mail received at that moment is over:
// received + N units lies before now. The calendar is that of now's location.
// A day that a month lacks is its last day: 31 January and a month is 28 or
// 29 February.
//
// Mail whose received date is unknown (the zero time) is expired by KeepNone
// only: without a date nothing shows that it is old.
func (k Keep) Expired(received, now time.Time) bool {
	switch k.Unit {
	case KeepNone:
		return true
	case KeepDays, KeepWeeks, KeepMonths, KeepYears:
		return !received.IsZero() && k.end(received.In(now.Location())).Before(now)
	}
	return false
}

func (k Keep) end(t time.Time) time.Time {
	switch k.Unit {
	case KeepDays:
		return t.AddDate(0, 0, k.N)
	case KeepWeeks:
		return t.AddDate(0, 0, 7*k.N)
	case KeepYears:
		return addMonths(t, 12*k.N)
	}
	return addMonths(t, k.N)
}

// addMonths is AddDate without its normalisation, which makes 3 March of
// 31 January and a month.
func addMonths(t time.Time, n int) time.Time {
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return time.Date(first.Year(), first.Month(), min(t.Day(), last),
		t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
}

// A Rule is what the configuration says about the folders that a pattern
// matches. What it leaves nil is the policy's.
type Rule struct {
	Match          string // see Match
	Skip           bool   // the folders are not synced
	DeletedOnline  *Deletion
	DeletedOffline *Deletion
	Keep           *Keep
	KeepFlagged    *bool
}

// A Policy is everything that the merge is told about a mailbox.
type Policy struct {
	Prefer         Prefer
	DeletedOnline  Deletion // for what was deleted online
	DeletedOffline Deletion // for what was deleted offline
	// MaxDeletions is the largest number of new deletions in one sync that is
	// still acted upon; with one more all of them are held.
	MaxDeletions int
	Rules        []Rule         // the first that matches a folder counts, alone
	Now          time.Time      // the clock of this sync
	Location     *time.Location // home's calendar; nil is that of Now
}

// DefaultPolicy is the policy of a mailbox that configures nothing. Now is
// left zero.
func DefaultPolicy() Policy {
	return Policy{Prefer: Newest, DeletedOnline: Hold, DeletedOffline: Apply, MaxDeletions: 100}
}

// Effective is what a Policy says about one folder.
type Effective struct {
	Skip bool // the folder is not synced
	// SkipDeletedOnline and SkipDeletedOffline are the skip rule's own words on
	// mail that was moved into the folder and so is gone. Nil: the policy of the
	// folder that it came from decides. Both are nil unless Skip.
	SkipDeletedOnline, SkipDeletedOffline *Deletion

	DeletedOnline, DeletedOffline Deletion
	Keep                          Keep
	KeepFlagged                   bool // mail with \Flagged is not expired
}

// For returns what holds for the folder, a logical name.
func (p *Policy) For(folder string) Effective {
	e := Effective{DeletedOnline: p.DeletedOnline, DeletedOffline: p.DeletedOffline, KeepFlagged: true}
	for _, r := range p.Rules {
		if !Match(r.Match, folder) {
			continue
		}
		set(&e.DeletedOnline, r.DeletedOnline)
		set(&e.DeletedOffline, r.DeletedOffline)
		set(&e.Keep, r.Keep)
		set(&e.KeepFlagged, r.KeepFlagged)
		if r.Skip {
			e.Skip, e.SkipDeletedOnline, e.SkipDeletedOffline = true, r.DeletedOnline, r.DeletedOffline
		}
		break
	}
	return e
}

func set[T any](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}

// Expired reports whether mail received at that moment is too old for k, by
// the policy's clock and calendar.
func (p *Policy) Expired(k Keep, received time.Time) bool {
	now := p.Now
	if p.Location != nil {
		now = now.In(p.Location)
	}
	return k.Expired(received, now)
}

// Match reports whether the pattern matches the folder, a logical name. In a
// pattern "*" stands for any characters of one level, and a level "**" for any
// number of levels: none or more before another level, one or more at the end.
// So "lists/**" matches "lists/a" and "lists/a/b" but not "lists", "**/Spam"
// matches "Spam" too, and "**" matches everything, INBOX as well. Nothing else
// is special. Case counts, but for a first level INBOX (RFC 9051 section 5.1).
func Match(pattern, folder string) bool {
	ps, fs := strings.Split(pattern, "/"), strings.Split(folder, "/")
	if strings.EqualFold(ps[0], "INBOX") && strings.EqualFold(fs[0], "INBOX") {
		ps, fs = ps[1:], fs[1:]
	}
	// "x/**" is "x/**/*": what the last "**" stands for has a level at least.
	if len(ps) > 0 && ps[len(ps)-1] == "**" {
		ps = append(ps, "*")
	}
	return glob(ps, fs, func(p string) bool { return p == "**" }, matchLevel)
}

func matchLevel(pattern, level string) bool {
	return glob([]byte(pattern), []byte(level), func(b byte) bool { return b == '*' },
		func(p, b byte) bool { return p == b })
}

// glob matches s against a pattern in which a wild element stands for any number of elements.
// It goes back to the last wildcard only, so that no folder name, however it is
// chosen, takes more than len(pattern)*len(s) steps.
func glob[T any](pattern, s []T, wild func(T) bool, one func(pattern, s T) bool) bool {
	p, i := 0, 0
	star, from := -1, 0 // the last wildcard, and where what follows it was tried
	for i < len(s) {
		switch {
		case p < len(pattern) && wild(pattern[p]):
			star, from = p, i
			p++
		case p < len(pattern) && one(pattern[p], s[i]):
			p, i = p+1, i+1
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && wild(pattern[p]) {
		p++
	}
	return p == len(pattern)
}

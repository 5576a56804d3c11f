package merge

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

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
		return !received.IsZero() && k.End(received.In(now.Location())).Before(now)
	}
	return false
}

// End returns received + N units, by the calendar of received's location. It
// means nothing for KeepAll and KeepNone.
func (k Keep) End(received time.Time) time.Time {
	t := received
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

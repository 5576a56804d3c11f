package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Snap is a snapshot as [Keep] sees it.
type Snap struct {
	Name   string
	Time   time.Time // when it was taken
	Needed string    // why it must stay whatever the schedule says ("base of sync 12"); "" for no reason
}

// A Verdict is what becomes of a snapshot, and why, for a person to read.
type Verdict struct {
	Snap   Snap
	Keep   bool
	Reason string
}

// Keep says for each of snaps, in their order, whether it stays. It is pure;
// the calendar is that of now's location. Snapshots of the two sides are
// two calls: in one, "the first of the day" would be of one side only.
//
// What stays, after btrbk.conf(5), "RETENTION POLICY":
//   - what is Needed, and what is dated in the future (a clock was wrong, and
//     its age is unknown);
//   - with preserve_min "2d" everything of today, yesterday and the day before,
//     that is everything younger than two days and some more; so for h, w, m, y;
//     with "latest" the youngest one, with "all" everything;
//   - with "14d" the first snapshot of each day, today to 14 days ago; with "8w"
//     the first of each week, which begins on Sunday; with "12m" and "*y" the
//     first of each month and year, where a week belongs to the month that its
//     Sunday is in (so that the first of a month is always the first of a week).
//
// It differs from btrbk in two points, both in favour of keeping: hours are real
// ones also when the clocks change, and for preserve_min the months and years
// are those of the calendar (btrbk's begin on their first Sunday, so that
// "1m" may let go a snapshot of 27 days).
func Keep(snaps []Snap, s Schedule, now time.Time) []Verdict {
	verdicts := make([]Verdict, len(snaps))
	ages := make([]age, len(snaps))
	order := make([]int, len(snaps))
	for i, snap := range snaps {
		verdicts[i] = Verdict{Snap: snap, Reason: fmt.Sprintf("kept neither by preserve_min %s nor by preserve %s", s.minText, s.text)}
		ages[i] = ageOf(snap.Time, now)
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if c := snaps[a].Time.Compare(snaps[b].Time); c != 0 {
			return c
		}
		return strings.Compare(snaps[a].Name, snaps[b].Name)
	})
	keep := func(i int, format string, args ...any) {
		verdicts[i].Keep = true
		verdicts[i].Reason = fmt.Sprintf(format, args...)
	}
	// The last reason stands, so they come from the weakest to the strongest.
	for at, i := range order {
		if s.latest && at == len(order)-1 {
			keep(i, "preserve_min latest")
		} else if s.within && ages[i].min[s.minUnit] <= s.min {
			keep(i, "preserve_min %s", s.minText)
		}
	}
	for u := range units {
		seen := map[int]bool{}
		for _, i := range order {
			ago := ages[i].bucket[u]
			if s.counts[u] > 0 && ago <= s.counts[u] && !seen[ago] {
				keep(i, "first of its %s, %s", unitName[u], since(ago, u))
			}
			seen[ago] = true
		}
	}
	for i, snap := range snaps {
		if snap.Time.After(now) {
			keep(i, "dated in the future")
		}
		if snap.Needed != "" {
			keep(i, "%s", snap.Needed)
		}
	}
	return verdicts
}

// An age says how many hours, days … ago something was: 0 is the current one,
// negative numbers are in the future.
type age struct {
	bucket [units]int // for preserve: each unit is a whole number of the unit before
	min    [units]int // for preserve_min: calendar months and years
}

func ageOf(t, now time.Time) age {
	t = t.In(now.Location())
	d, w := date(t), sunday(t)
	nd, nw := date(now), sunday(now)
	a := age{min: [units]int{
		hour:  int(hourStart(now).Sub(hourStart(t)) / time.Hour),
		day:   days(d, nd),
		week:  days(w, nw) / 7,
		month: months(d, nd),
		year:  nd.Year() - d.Year(),
	}}
	a.bucket = a.min
	a.bucket[month] = months(w, nd)
	a.bucket[year] = nd.Year() - w.Year()
	return a
}

// date returns the day of t as midnight UTC: days between two of them are
// always of 24 hours.
func date(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// sunday returns the date of the Sunday that t's week begins with.
func sunday(t time.Time) time.Time { return date(t).AddDate(0, 0, -int(t.Weekday())) }

// hourStart is the moment at which t's clock last showed a full hour.
func hourStart(t time.Time) time.Time {
	return t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
}

func days(a, b time.Time) int { return int(b.Sub(a) / (24 * time.Hour)) }

func months(a, b time.Time) int {
	return (b.Year()-a.Year())*12 + int(b.Month()) - int(a.Month())
}

func since(ago int, u unit) string {
	switch {
	case ago == 0 && u == day:
		return "today"
	case ago == 0:
		return "this " + unitName[u]
	case ago == 1:
		return "1 " + unitName[u] + " ago"
	}
	return fmt.Sprintf("%d %ss ago", ago, unitName[u])
}

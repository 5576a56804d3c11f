package snapshot

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// at reads "2015-12-21 06:57" in loc.
func at(t *testing.T, s string, loc *time.Location) time.Time {
	t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04", s, loc)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func mustSchedule(t *testing.T, min, preserve string) Schedule {
	t.Helper()
	s, err := ParseSchedule(min, preserve)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestKeep: snapshots by their time; "+" stays, "-" goes. 21 December 2015 was
// a Monday.
func TestKeep(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const monday = "2015-12-21 06:57"
	tests := []struct {
		name, min, preserve, now string
		snaps                    string // a line each: sign, time, reason
	}{
		{"2d is today, yesterday and the day before, from midnight on", "2d", "no", monday, `
			- 2015-12-18 23:59 kept neither by preserve_min 2d nor by preserve no
			+ 2015-12-19 00:00 preserve_min 2d
			+ 2015-12-21 06:57 preserve_min 2d`},
		{"24h counts full hours", "24h", "no", monday, `
			- 2015-12-20 05:59 kept neither by preserve_min 24h nor by preserve no
			+ 2015-12-20 06:00 preserve_min 24h`},
		{"1w reaches back to the Sunday before the last", "1w", "no", monday, `
			- 2015-12-12 23:59 kept neither by preserve_min 1w nor by preserve no
			+ 2015-12-13 00:00 preserve_min 1w`},
		{"1m are calendar months: 27 days are younger, though their Sunday was in January", "1m", "no", "2024-03-01 12:00", `
			- 2024-01-31 12:00 kept neither by preserve_min 1m nor by preserve no
			+ 2024-02-03 12:00 preserve_min 1m`},
		{"1y", "1y", "no", monday, `
			- 2013-12-31 23:59 kept neither by preserve_min 1y nor by preserve no
			+ 2014-01-01 00:00 preserve_min 1y`},
		{"latest is one, whatever its age", "latest", "no", monday, `
			+ 2012-01-02 00:00 preserve_min latest
			- 2012-01-01 00:00 kept neither by preserve_min latest nor by preserve no`},
		{"all", "all", "no", monday, `
			+ 1999-01-01 00:00 preserve_min all`},
		{"no and no: nothing but the future", "no", "no", monday, `
			- 2015-12-21 06:57 kept neither by preserve_min no nor by preserve no
			+ 2015-12-21 06:58 dated in the future`},
		{"the first of each day, not the last", "no", "2d", monday, `
			- 2015-12-18 01:00 kept neither by preserve_min no nor by preserve 2d
			+ 2015-12-19 08:00 first of its day, 2 days ago
			- 2015-12-19 09:00 kept neither by preserve_min no nor by preserve 2d
			+ 2015-12-20 23:00 first of its day, 1 day ago
			+ 2015-12-21 01:00 first of its day, today
			- 2015-12-21 02:00 kept neither by preserve_min no nor by preserve 2d`},
		{"the week begins on Sunday, and its first may be of any day", "no", "1w", monday, `
			- 2015-12-12 12:00 kept neither by preserve_min no nor by preserve 1w
			+ 2015-12-16 12:00 first of its week, 1 week ago
			- 2015-12-19 12:00 kept neither by preserve_min no nor by preserve 1w
			+ 2015-12-20 12:00 first of its week, this week
			- 2015-12-21 06:00 kept neither by preserve_min no nor by preserve 1w`},
		{"a week belongs to the month of its Sunday: Tuesday 1 December is November's", "no", "1m", monday, `
			- 2015-10-30 12:00 kept neither by preserve_min no nor by preserve 1m
			+ 2015-11-03 12:00 first of its month, 1 month ago
			- 2015-12-01 12:00 kept neither by preserve_min no nor by preserve 1m
			+ 2015-12-06 12:00 first of its month, this month`},
		{"a year begins with its first Sunday: 1 January 2015 is 2014's", "no", "*y", monday, `
			+ 2012-05-01 12:00 first of its year, 3 years ago
			+ 2015-01-01 12:00 first of its year, 1 year ago
			+ 2015-01-04 12:00 first of its year, this year
			- 2015-05-01 12:00 kept neither by preserve_min no nor by preserve *y`},
		{"the strongest reason is told", "2d", "14d 8w 12m *y", monday, `
			+ 2014-06-01 12:00 first of its year, 1 year ago
			+ 2015-11-30 12:00 first of its year, this year
			+ 2015-12-07 12:00 first of its month, this month
			+ 2015-12-08 12:00 first of its day, 13 days ago
			- 2015-12-08 13:00 kept neither by preserve_min 2d nor by preserve 14d 8w 12m *y
			+ 2015-12-20 12:00 first of its week, this week
			+ 2015-12-20 13:00 preserve_min 2d`},
		{"0 of something is none", "no", "0d *w", monday, `
			- 2015-12-21 06:00 kept neither by preserve_min no nor by preserve 0d *w
			+ 2015-12-20 06:00 first of its week, this week`},
		{"the clocks went forward in the night: 24 hours are real ones", "24h", "no", "2015-03-29 12:00", `
			- 2015-03-28 10:59 kept neither by preserve_min 24h nor by preserve no
			+ 2015-03-28 11:00 preserve_min 24h`},
		{"29 February is a day like any other", "no", "2d", "2024-03-01 12:00", `
			- 2024-02-27 08:00 kept neither by preserve_min no nor by preserve 2d
			+ 2024-02-28 08:00 first of its day, 2 days ago
			+ 2024-02-29 08:00 first of its day, 1 day ago
			- 2024-02-29 09:00 kept neither by preserve_min no nor by preserve 2d`},
		{"a month before 31 March is February, however short", "1m", "no", "2023-03-31 12:00", `
			- 2023-01-31 23:59 kept neither by preserve_min 1m nor by preserve no
			+ 2023-02-01 00:00 preserve_min 1m`},
		{"the clock was set back by a week: what is dated in the future stays", "1d", "1d", monday, `
			+ 2015-12-28 06:00 dated in the future
			+ 2015-12-28 07:00 dated in the future
			- 2015-12-19 06:00 kept neither by preserve_min 1d nor by preserve 1d
			+ 2015-12-20 06:00 first of its day, 1 day ago`},
		{"and days have 23 or 25 hours", "1d", "no", "2015-10-25 23:30", `
			- 2015-10-23 23:59 kept neither by preserve_min 1d nor by preserve no
			+ 2015-10-24 00:00 preserve_min 1d`},
	}
	for _, tt := range tests {
		var snaps []Snap
		var want, got []string
		for line := range strings.Lines(strings.TrimSpace(tt.snaps)) {
			line = strings.TrimSpace(line)
			snaps = append(snaps, Snap{Name: line, Time: at(t, line[2:18], berlin).UTC()})
			want = append(want, line)
		}
		for _, v := range Keep(snaps, mustSchedule(t, tt.min, tt.preserve), at(t, tt.now, berlin)) {
			got = append(got, fmt.Sprintf("%s %s %s", sign(v.Keep), v.Snap.Time.In(berlin).Format("2006-01-02 15:04"), v.Reason))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

func sign(keep bool) string {
	if keep {
		return "+"
	}
	return "-"
}

// TestKeepNeeded: what is needed stays, and its reason is the one that is told.
func TestKeepNeeded(t *testing.T) {
	now := time.Date(2015, 12, 21, 7, 0, 0, 0, time.UTC)
	snaps := []Snap{{"online.3", now, "base of sync 4"}, {"online.1", now.AddDate(-9, 0, 0), "report 1"}}
	for _, v := range Keep(snaps, mustSchedule(t, "no", "*h"), now) {
		if !v.Keep || v.Reason != v.Snap.Needed {
			t.Errorf("%s: %v, %q", v.Snap.Name, v.Keep, v.Reason)
		}
	}
	for _, v := range Keep([]Snap{{Name: "online.1", Time: now}}, Schedule{}, now) {
		if v.Keep {
			t.Errorf("the zero schedule keeps %s: %q", v.Snap.Name, v.Reason)
		}
	}
}

func TestParseSchedule(t *testing.T) {
	for _, tt := range []struct{ min, preserve, want string }{
		{"2d", "14d 8w 12m *y", "preserve_min 2d, preserve 14d 8w 12m *y"},
		{"all", "*h", "preserve_min all, preserve *h"},
		{"", "", "preserve_min no, preserve no"},
		{"latest", " 1y  2d ", "preserve_min latest, preserve  1y  2d "},
		{"2", "", `preserve_min "2": want "all", "latest", "no" or a number and one of h, d, w, m, y`},
		{"*d", "", `preserve_min "*d": want "all", "latest", "no" or a number and one of h, d, w, m, y`},
		{"-2d", "", `preserve_min "-2d": want "all", "latest", "no" or a number and one of h, d, w, m, y`},
		{"99999999999999999999d", "", `preserve_min "99999999999999999999d": want "all", "latest", "no" or a number and one of h, d, w, m, y`},
		{"2d", "14d 14d", `preserve "14d 14d": d comes twice`},
		{"2d", "0d 14d", `preserve "0d 14d": d comes twice`},
		{"2d", "14 d", `preserve "14 d": "14" is no number (or *) and one of h, d, w, m, y`},
		{"2d", "14D", `preserve "14D": "14D" is no number (or *) and one of h, d, w, m, y`},
		{"2d", "all", `preserve "all": "all" is no number (or *) and one of h, d, w, m, y`},
	} {
		s, err := ParseSchedule(tt.min, tt.preserve)
		got := s.String()
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q, %q:\n got %s\nwant %s", tt.min, tt.preserve, got, tt.want)
		}
	}
}

// TestKeepProperties, for random schedules, zones and snapshots up to three
// years old, some at one time: what is needed or younger than preserve_min
// stays; a preserve of n units leaves at least one snapshot for each unit that
// had any; order does not matter; on the survivors a second run drops nothing.
func TestKeepProperties(t *testing.T) {
	zones := []*time.Location{time.UTC}
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"} {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		zones = append(zones, z)
	}
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Unix(rapid.Int64Range(1400000000, 1900000000).Draw(rt, "now"), 5).In(rapid.SampledFrom(zones).Draw(rt, "zone"))
		n := rapid.IntRange(0, 9).Draw(rt, "n")
		u := rapid.SampledFrom(strings.Split(letters, "")).Draw(rt, "unit")
		preserve := rapid.SampledFrom([]string{"no", "14d 8w 12m *y", "3h 2m", "*d", "5w 1y", "48h 0d"}).Draw(rt, "preserve")
		s, err := ParseSchedule(fmt.Sprint(n)+u, preserve)
		if err != nil {
			rt.Fatal(err)
		}
		var snaps []Snap
		for i, ago := range rapid.SliceOfN(rapid.OneOf(rapid.IntRange(-5, 100), rapid.IntRange(0, 3*365*24*60)), 0, 60).Draw(rt, "minutes ago") {
			snaps = append(snaps, Snap{fmt.Sprint("online.", i), now.Add(-time.Duration(ago) * time.Minute),
				rapid.SampledFrom([]string{"", "", "", "base"}).Draw(rt, "needed")})
		}
		verdicts := Keep(snaps, s, now)
		young := youngerThan(now, n, u)
		var left []Snap
		for i, v := range verdicts {
			if v.Snap != snaps[i] || v.Reason == "" {
				rt.Errorf("verdict %d is %+v, want one on %+v", i, v, snaps[i])
			}
			if v.Keep {
				left = append(left, v.Snap)
			} else if v.Snap.Needed != "" || v.Snap.Time.After(young) {
				rt.Errorf("%s: dropped %+v, taken %v", s, v.Snap, v.Snap.Time)
			}
		}
		checkCovered(rt, snaps, left, s, now)
		for _, v := range Keep(left, s, now) {
			if !v.Keep {
				rt.Errorf("second run: %+v", v)
			}
		}
		shuffled := rapid.Permutation(snaps).Draw(rt, "shuffled")
		again := Keep(shuffled, s, now)
		byName := func(a, b Verdict) int { return strings.Compare(a.Snap.Name, b.Snap.Name) }
		slices.SortFunc(again, byName)
		slices.SortFunc(verdicts, byName)
		if d := cmp.Diff(verdicts, again); d != "" {
			rt.Errorf("another order, another verdict:\n%s", d)
		}
	})
}

// youngerThan returns now minus n units. Hours and days are counted as the
// clock on the wall counts days: two days ago is the same time of day.
func youngerThan(now time.Time, n int, u string) time.Time {
	switch u {
	case "h":
		return now.Add(-time.Duration(n) * time.Hour)
	case "d":
		return now.AddDate(0, 0, -n)
	case "w":
		return now.AddDate(0, 0, -7*n)
	case "m":
		return now.AddDate(0, -n, 0)
	}
	return now.AddDate(-n, 0, 0)
}

// checkCovered: each calendar day (by its date) of the last counts[day] days
// that had a snapshot still has one.
func checkCovered(rt *rapid.T, snaps, left []Snap, s Schedule, now time.Time) {
	if s.counts[day] == 0 {
		return
	}
	dates := map[string]bool{}
	for _, l := range left {
		dates[l.Time.Format(time.DateOnly)] = true
	}
	for _, snap := range snaps {
		recent := s.counts[day] == all || snap.Time.After(now.AddDate(0, 0, -s.counts[day]))
		if recent && !dates[snap.Time.Format(time.DateOnly)] {
			rt.Errorf("%s: no snapshot left of %s", s, snap.Time.Format(time.DateOnly))
		}
	}
}

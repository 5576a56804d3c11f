package config

import (
	"testing"
	"time"
	_ "time/tzdata" // the machine may have no zoneinfo

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"snapmerge/merge"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, folder string
		want            bool
	}{
		{"lists", "lists", true},
		{"lists", "Lists", false},
		{"lists", "lists/a", false},
		{"lists/*", "lists/a", true},
		{"lists/*", "lists/a/b", false},
		{"lists/*", "lists", false},
		{"lists/**", "lists/a", true},
		{"lists/**", "lists/a/b", true},
		{"lists/**", "lists", false},
		{"lists/**", "listsx/a", false},
		{"**", "INBOX", true},
		{"**", "a", true},
		{"**", "a/b/c", true},
		{"*", "INBOX", true},
		{"*", "a/b", false},
		{"**/Spam", "Spam", true},
		{"**/Spam", "a/b/Spam", true},
		{"**/Spam", "a/Spam/b", false},
		{"a/**/b", "a/b", true},
		{"a/**/b", "a/x/y/b", true},
		{"a/**/b", "a/x/y/c", false},
		{"a/**/b/**", "a/b/b", true},
		{"a/**/b/**", "a/x/b", false},
		{"lists/linux-*", "lists/linux-kernel", true},
		{"lists/linux-*", "lists/linux-", true},
		{"lists/linux-*", "lists/linux-x/y", false},
		{"*-*-b", "x-y-a-b", true},
		{"*-*-b", "x-b", false},
		{"a*", "b", false},
		{"Entwürfe/*", "Entwürfe/Ü", true},
		{"a?", "ab", false},
		{"a?", "a?", true},
		{"[ab]", "a", false},
		{"[ab]", "[ab]", true},
		{"inbox", "INBOX", true},
		{"Inbox/sub", "INBOX/sub", true},
		{"Inbox/sub", "INBOX/Sub", false},
		{"Inbox/**", "INBOX", false},
		{"Inbox/**", "INBOX/sub", true},
		{"INBOX", "INBOX/sub", false},
		{"lists/inbox", "lists/INBOX", false},
		{"INBOX", "INBOX2", false},
	}
	for _, tt := range tests {
		if got := merge.Match(tt.pattern, tt.folder); got != tt.want {
			t.Errorf("Match(%q, %q) = %v, want %v", tt.pattern, tt.folder, got, tt.want)
		}
	}
}

// slowMatch is Match by trying everything: short, plain, exponential.
func slowMatch(pattern, folder []string) bool {
	if len(pattern) == 0 {
		return len(folder) == 0
	}
	if pattern[0] == "**" {
		if len(pattern) == 1 {
			return len(folder) > 0
		}
		return slowMatch(pattern[1:], folder) || len(folder) > 0 && slowMatch(pattern, folder[1:])
	}
	return len(folder) > 0 && slowLevel(pattern[0], folder[0]) && slowMatch(pattern[1:], folder[1:])
}

func slowLevel(p, s string) bool {
	switch {
	case p == "":
		return s == ""
	case p[0] == '*':
		return slowLevel(p[1:], s) || s != "" && slowLevel(p, s[1:])
	}
	return s != "" && p[0] == s[0] && slowLevel(p[1:], s[1:])
}

func TestMatchAgainstSlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.SliceOfN(rapid.OneOf(rapid.Just("**"), rapid.StringMatching(`a|b|\*|[ab]\*|\*[ab]|[ab]\*[ab]\*`)), 1, 6).Draw(t, "pattern")
		folder := rapid.SliceOfN(rapid.StringMatching(`[ab]{1,4}`), 1, 6).Draw(t, "folder")
		got, want := merge.Match(join(pattern), join(folder)), slowMatch(pattern, folder)
		if got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", join(pattern), join(folder), got, want)
		}
	})
}

func join(levels []string) string {
	s := levels[0]
	for _, level := range levels[1:] {
		s += "/" + level
	}
	return s
}

// Of each pair of instants mail is still kept at the first (the last moment)
// and expired at the second, a nanosecond later. Times are of Europe/Berlin.
func TestKeepExpired(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		keep, received, last, why string
	}{
		{"1 month", "2026-01-15 10:00:00", "2026-02-15 10:00:00", "the same day"},
		{"1 month", "2026-01-31 10:00:00", "2026-02-28 10:00:00", "31 January, February has 28 days"},
		{"1 month", "2024-01-31 10:00:00", "2024-02-29 10:00:00", "31 January, leap year"},
		{"1 month", "2024-01-30 10:00:00", "2024-02-29 10:00:00", "30 January, leap year"},
		{"1 month", "2026-02-28 10:00:00", "2026-03-28 10:00:00", "the end of a month is not kept"},
		{"1 month", "2026-03-31 10:00:00", "2026-04-30 10:00:00", "March to April"},
		{"1 month", "2026-12-31 10:00:00", "2027-01-31 10:00:00", "over the new year"},
		{"4 months", "2025-10-31 23:59:59", "2026-02-28 23:59:59", "over the new year to February"},
		{"13 months", "2023-01-31 10:00:00", "2024-02-29 10:00:00", "more than a year"},
		{"1 year", "2024-02-29 10:00:00", "2025-02-28 10:00:00", "leap day and a year"},
		{"4 years", "2024-02-29 10:00:00", "2028-02-29 10:00:00", "leap day to leap day"},
		{"1 year", "2025-02-28 10:00:00", "2026-02-28 10:00:00", "an ordinary year"},
		{"100 years", "2000-02-29 10:00:00", "2100-02-28 10:00:00", "2100 is no leap year"},
		{"1 day", "2026-03-28 12:00:00", "2026-03-29 12:00:00", "summer time begins: 23 hours"},
		{"1 day", "2026-10-24 12:00:00", "2026-10-25 12:00:00", "summer time ends: 25 hours"},
		{"2 weeks", "2026-03-20 12:00:00", "2026-04-03 12:00:00", "weeks over the change"},
		{"1 month", "2026-03-15 12:00:00", "2026-04-15 12:00:00", "a month over the change"},
		{"1 month", "2026-02-28 23:30:00", "2026-03-28 23:30:00", "27 February in New York, 28 in Berlin"},
		{"30 days", "2026-01-31 10:00:00", "2026-03-02 10:00:00", "days are no months"},
	}
	for _, tt := range tests {
		keep, err := merge.ParseKeep(tt.keep)
		if err != nil {
			t.Fatal(err)
		}
		received, err1 := time.ParseInLocation(time.DateTime, tt.received, berlin)
		last, err2 := time.ParseInLocation(time.DateTime, tt.last, berlin)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		// The file's mtime comes in any zone; only now's calendar counts.
		for _, r := range []time.Time{received, received.UTC(), received.In(time.FixedZone("", -5*3600))} {
			if keep.Expired(r, last) {
				t.Errorf("%s: %s, received %s, is expired at %s already", tt.why, tt.keep, r, last)
			}
			if !keep.Expired(r, last.Add(1)) {
				t.Errorf("%s: %s, received %s, is not expired after %s", tt.why, tt.keep, r, last)
			}
		}
		if p := (&merge.Policy{Now: last.Add(1).UTC(), Location: berlin}); !p.Expired(keep, received) {
			t.Errorf("%s: the policy's location does not count", tt.why)
		}
		if p := (&merge.Policy{Now: last.UTC(), Location: berlin}); p.Expired(keep, received) {
			t.Errorf("%s: the policy's location does not count", tt.why)
		}
	}
}

func TestKeepExpiredAlways(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		why      string
		keep     merge.Keep
		received time.Time
		want     bool
	}{
		{"all keeps the oldest", merge.Keep{}, time.Unix(0, 0), false},
		{"all keeps mail without a date", merge.Keep{}, time.Time{}, false},
		{"none expires what just came", merge.Keep{Unit: merge.KeepNone}, now, true},
		{"none expires mail from the future", merge.Keep{Unit: merge.KeepNone}, now.AddDate(1, 0, 0), true},
		{"none expires mail without a date", merge.Keep{Unit: merge.KeepNone}, time.Time{}, true},
		{"an unknown date is not old", merge.Keep{Unit: merge.KeepDays, N: 1}, time.Time{}, false},
		{"mail from the future is not old", merge.Keep{Unit: merge.KeepDays, N: 1}, now.AddDate(1, 0, 0), false},
		{"1970 is old", merge.Keep{Unit: merge.KeepYears, N: 1}, time.Unix(0, 0), true},
		{"the longest", merge.Keep{Unit: merge.KeepYears, N: 9999}, time.Unix(0, 0), false},
	}
	for _, tt := range tests {
		if got := tt.keep.Expired(tt.received, now); got != tt.want {
			t.Errorf("%s: got %v", tt.why, got)
		}
	}
}

func TestParseKeep(t *testing.T) {
	good := map[string]merge.Keep{
		"all": {}, "none": {Unit: merge.KeepNone},
		"1 day": {Unit: merge.KeepDays, N: 1}, "7 days": {Unit: merge.KeepDays, N: 7},
		"1 week": {Unit: merge.KeepWeeks, N: 1}, "8 weeks": {Unit: merge.KeepWeeks, N: 8},
		"1 month": {Unit: merge.KeepMonths, N: 1}, "24 months": {Unit: merge.KeepMonths, N: 24},
		"1 year": {Unit: merge.KeepYears, N: 1}, "9999 years": {Unit: merge.KeepYears, N: 9999},
	}
	for s, want := range good {
		got, err := merge.ParseKeep(s)
		if err != nil || got != want || got.String() != s {
			t.Errorf("ParseKeep(%q) = %+v (%s), %v; want %+v", s, got, got, err, want)
		}
	}
	if k, err := merge.ParseKeep("1 months"); err != nil || k.String() != "1 month" {
		t.Errorf("1 months: %v, %v", k, err)
	}
	for _, s := range []string{"", "All", "4", "months", "4months", "4  months", " 4 months", "4 months ", "0 days",
		"-1 days", "+1 days", "01 days", "1.5 years", "10000 days", "99999999999999999999 days", "4 hours", "4 ", "4 s", "1 alls", "1 none"} {
		if k, err := merge.ParseKeep(s); err == nil {
			t.Errorf("ParseKeep(%q) = %v, want an error", s, k)
		}
	}
}

func TestWords(t *testing.T) {
	for _, d := range []merge.Deletion{merge.Hold, merge.Apply, merge.Ignore} {
		if got, err := merge.ParseDeletion(d.String()); err != nil || got != d {
			t.Errorf("%v: %v, %v", d, got, err)
		}
	}
	for _, p := range []merge.Prefer{merge.Newest, merge.PreferOffline, merge.PreferOnline} {
		if got, err := merge.ParsePrefer(p.String()); err != nil || got != p {
			t.Errorf("%v: %v, %v", p, got, err)
		}
	}
	if merge.Deletion(0).String() != "hold" || merge.Prefer(0).String() != "newest" {
		t.Error("the zero values are not the careful ones")
	}
	_, err := merge.ParseDeletion("Apply")
	if want := `"Apply" is none of hold, apply, ignore`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A mailbox with a time zone has its calendar, whatever that of the clock is.
func TestTimezone(t *testing.T) {
	c, err := parse("f", []byte("[defaults.merge]\ntimezone = \"Asia/Tokyo\"\n[mailbox.a.merge]\n[mailbox.b.merge]\ntimezone = \"Europe/Berlin\"\n"), false)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, want := range []string{"Asia/Tokyo", "Europe/Berlin"} {
		if p := c.Mailboxes[i].Policy(now); p.Location.String() != want || !p.Now.Equal(now) {
			t.Errorf("%s: %v, %v", c.Mailboxes[i].Name, p.Location, p.Now)
		}
	}
}

func TestPolicyFor(t *testing.T) {
	months := merge.Keep{Unit: merge.KeepMonths, N: 4}
	p := merge.DefaultPolicy()
	p.Rules = []merge.Rule{
		{Match: "Spam/kept", DeletedOnline: ptr(merge.Hold)},
		{Match: "Spam/quiet", Skip: true, DeletedOffline: ptr(merge.Ignore)},
		{Match: "Spam/**", Skip: true},
		{Match: "Trash", DeletedOnline: ptr(merge.Apply), DeletedOffline: ptr(merge.Hold)},
		{Match: "lists/**", Keep: &months},
		{Match: "lists/never", Skip: true},
		{Match: "all", Keep: &merge.Keep{Unit: merge.KeepNone}, KeepFlagged: ptr(false)},
	}
	tests := []struct {
		folder, why string
		want        merge.Effective
	}{
		{"INBOX", "no rule: the defaults", merge.Effective{DeletedOffline: merge.Apply, KeepFlagged: true}},
		{"Spam/kept", "the first match counts, alone", merge.Effective{DeletedOffline: merge.Apply, KeepFlagged: true}},
		{"Spam/x", "a skip rule says nothing on deletions", merge.Effective{Skip: true, DeletedOffline: merge.Apply, KeepFlagged: true}},
		{"Spam/quiet", "a skip rule says something on deletions", merge.Effective{Skip: true, SkipDeletedOffline: ptr(merge.Ignore),
			DeletedOffline: merge.Ignore, KeepFlagged: true}},
		{"Trash", "both policies; not a skip rule's", merge.Effective{DeletedOnline: merge.Apply, KeepFlagged: true}},
		{"lists/never", "a later rule does not count", merge.Effective{DeletedOffline: merge.Apply, Keep: months, KeepFlagged: true}},
		{"all", "keep keys", merge.Effective{DeletedOffline: merge.Apply, Keep: merge.Keep{Unit: merge.KeepNone}}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, p.For(tt.folder)); diff != "" {
			t.Errorf("%s: %s, -want +got:\n%s", tt.folder, tt.why, diff)
		}
	}
}

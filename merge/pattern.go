package merge

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Pattern names archive subfolders by date, in the letters of strftime(3):
// %Y is the year in four digits, %m the month and %d the day in two. "/" makes
// levels, all else stands for itself. Each letter has a fixed width, so a name
// reads back in one way only. The zero value is no pattern.
type Pattern string

// usual are patterns whose subfolders belong to every family. So a pattern can
// be changed to another of them, and what the old one has filed is still known.
var usual = []Pattern{"%Y", "%m", "%Y-%m", "%Y/%m"}

// ParsePattern checks a pattern.
func ParsePattern(s string) (Pattern, error) {
	if why := patternFault(s); why != nil {
		return "", fmt.Errorf("%q %w, wants a pattern like %%Y, %%m, %%Y-%%m, %%Y/%%m", s, why)
	}
	return Pattern(s), nil
}

func patternFault(s string) error {
	seen := map[byte]bool{}
	for rest := s; ; {
		_, after, ok := strings.Cut(rest, "%")
		if !ok {
			break
		}
		if after == "" || strings.IndexByte("Ymd", after[0]) < 0 {
			return errors.New("has a % that begins none of %Y, %m, %d")
		}
		seen[after[0]], rest = true, after[1:]
	}
	switch {
	case len(seen) == 0:
		return errors.New("has no date in it")
	case seen['d'] && !seen['m']:
		return errors.New("has a day without its month")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("has a control character")
	}
	for level := range strings.SplitSeq(s, "/") {
		if level == "" || level == "." || level == ".." {
			return fmt.Errorf("has a level %q", level)
		}
	}
	return nil
}

// Format returns the subfolder for a moment, by the calendar of its location.
// ok is false for a year that four digits can not tell.
func (p Pattern) Format(t time.Time) (sub string, ok bool) {
	y, m, d := t.Date()
	r := strings.NewReplacer("%Y", fmt.Sprintf("%04d", y), "%m", fmt.Sprintf("%02d", int(m)), "%d", fmt.Sprintf("%02d", d))
	return r.Replace(string(p)), 0 <= y && y <= 9999
}

// names tells whether the pattern gives that name to some date.
func (p Pattern) names(sub string) bool {
	date := map[byte]int{'Y': 2000, 'm': 1, 'd': 1} // 29 February is a day of some year
	seen := map[byte]bool{}
	for i := 0; i < len(p); i++ {
		if p[i] != '%' {
			if sub == "" || sub[0] != p[i] {
				return false
			}
			sub = sub[1:]
			continue
		}
		i++
		n, rest, ok := digits(sub, p[i])
		if !ok || seen[p[i]] && date[p[i]] != n {
			return false
		}
		date[p[i]], seen[p[i]], sub = n, true, rest
	}
	y, m, d := time.Date(date['Y'], time.Month(date['m']), date['d'], 0, 0, 0, 0, time.UTC).Date()
	return p != "" && sub == "" && y == date['Y'] && int(m) == date['m'] && d == date['d']
}

func digits(s string, letter byte) (n int, rest string, ok bool) {
	width := 2
	if letter == 'Y' {
		width = 4
	}
	if len(s) < width {
		return 0, "", false
	}
	for _, c := range []byte(s[:width]) {
		if c < '0' || c > '9' {
			return 0, "", false
		}
		n = 10*n + int(c-'0')
	}
	return n, s[width:], true
}

// period returns the first day of the period that t lies in, as a civil date:
// a year, a month or a day, whatever is the finest in the pattern. Periods are
// compared as such dates: March of last year is not March of this one, although
// %m names both 03.
func (p Pattern) period(t time.Time) time.Time {
	y, m, d := t.Date()
	if !strings.Contains(string(p), "%d") {
		d = 1
		if !strings.Contains(string(p), "%m") {
			m = time.January
		}
	}
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// next returns the first moment of the period after the one that t lies in.
func (p Pattern) next(t time.Time) time.Time {
	y, m, d := p.period(t).Date()
	switch {
	case strings.Contains(string(p), "%d"):
		d++
	case strings.Contains(string(p), "%m"):
		m++
	default:
		y++
	}
	at := time.Date(y, m, d, 0, 0, 0, 0, t.Location())
	// Where clocks are put forward at midnight there is no such moment, and
	// time.Date may answer with one of the day before.
	for !p.period(at).After(p.period(t)) {
		at = at.Add(time.Hour)
	}
	return at
}

package snapshot

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A unit is one of btrbk's h d w m y.
type unit int

const (
	hour unit = iota
	day
	week
	month
	year
	units
)

const letters = "hdwmy"

var unitName = [units]string{"hour", "day", "week", "month", "year"}

// all is a count without end: "*y", or preserve_min "all".
const all = int(^uint(0) >> 1)

// A Schedule says which snapshots stay, see [Keep]. [ParseSchedule] makes it;
// the zero one keeps only what is needed.
type Schedule struct {
	latest  bool // preserve_min is "latest"
	within  bool // preserve_min is "all" or a number: of min units
	min     int
	minUnit unit
	counts  [units]int // preserve: of each unit so many, 0 for none

	minText, text string // as given, for reasons
}

// ParseSchedule reads the two settings of btrbk.conf(5):
//
//	preserve_min   all | latest | no | <number>{h,d,w,m,y}
//	preserve       no | [<n>h] [<n>d] [<n>w] [<n>m] [<n>y], with * for all, in any order
//
// An empty string is "no", and so is a number of 0 in preserve; in preserve_min
// it means the current hour, day ….
func ParseSchedule(preserveMin, preserve string) (Schedule, error) {
	s := Schedule{minText: preserveMin, text: preserve}
	switch preserveMin {
	case "no", "":
		s.minText = "no"
	case "latest":
		s.latest = true
	case "all":
		s.within, s.min = true, all
	default:
		n, u, ok := parseCount(preserveMin)
		if !ok || n == all {
			return Schedule{}, fmt.Errorf(`preserve_min %q: want "all", "latest", "no" or a number and one of h, d, w, m, y`, preserveMin)
		}
		s.within, s.min, s.minUnit = true, n, u
	}
	if preserve == "no" || preserve == "" {
		s.text = "no"
		return s, nil
	}
	var given [units]bool
	for word := range strings.FieldsSeq(preserve) {
		n, u, ok := parseCount(word)
		if !ok {
			return Schedule{}, fmt.Errorf("preserve %q: %q is no number (or *) and one of h, d, w, m, y", preserve, word)
		}
		if given[u] {
			return Schedule{}, fmt.Errorf("preserve %q: %c comes twice", preserve, letters[u])
		}
		given[u], s.counts[u] = true, n
	}
	return s, nil
}

// Within tells whether preserve_min keeps what is dated t. Of "latest" it can
// not be said, as that goes by what else there is.
func (s Schedule) Within(t, now time.Time) bool {
	return t.After(now) || s.within && ageOf(t, now).min[s.minUnit] <= s.min
}

// String returns the schedule as a sentence for people.
func (s Schedule) String() string {
	return fmt.Sprintf("preserve_min %s, preserve %s", s.minText, s.text)
}

func parseCount(word string) (n int, u unit, ok bool) {
	if word == "" {
		return 0, 0, false
	}
	num, letter := word[:len(word)-1], word[len(word)-1]
	u = unit(strings.IndexByte(letters, letter))
	if num == "*" {
		return all, u, u >= 0
	}
	// ParseUint takes no sign; 16 bits are 179 years of days, and no overflow.
	v, err := strconv.ParseUint(num, 10, 16)
	return int(v), u, err == nil && u >= 0
}

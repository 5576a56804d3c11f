package report

import (
	"fmt"
	"strings"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// rules says in words what a row of the merge table (doc/merge-rules.md) is about.
var rules = map[string]string{
	"1": "new online", "2": "new at home", "3": "new on both sides",
	"4": "changed online", "5": "changed at home", "6": "changed on both sides",
	"7": "too old for online", "8": "expired online by itself",
	"9": "deleted online", "9a": "moved home by a mail client", "10": "deleted at home",
	"11": "deleted on one side, changed on the other", "12": "deleted on both sides",
	"13": "no longer online", "14": "back online", "15": "copied",
	"16": "one of its folders left", "17": "content changed",
	"18": "moved to a folder that online does not keep", "archive": "filed by its date",
}

// ruleWords returns "" for a rule that has none: that of a folder action.
func ruleWords(rule string) string { return rules[rule] }

// plural is "1 mail", "2 mails".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// counts is "5 placed, 1 moved", "" if nothing was done.
func counts(c state.Counts) string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(c.Placed, "placed")
	add(c.Copied, "copied")
	add(c.Moved, "moved")
	add(c.Flagged, "flags changed")
	add(c.Deleted, "deleted")
	if add(c.Expired, "expired"); c.ExpiredBytes > 0 {
		parts[len(parts)-1] += " (" + Bytes(uint64(c.ExpiredBytes)) + ")"
	}
	if c.Folders > 0 {
		parts = append(parts, plural(c.Folders, "folder", "folders"))
	}
	if c.Subscriptions > 0 {
		parts = append(parts, plural(c.Subscriptions, "subscription", "subscriptions"))
	}
	return strings.Join(parts, ", ")
}

func countsOf(t state.Totals, side merge.Side) state.Counts {
	if side == merge.Offline {
		return t.Offline
	}
	return t.Online
}

func seconds(s float64) string { return fmt.Sprintf("%.1f s", s) }

// Bytes is a number of bytes for people, in powers of 1024.
func Bytes(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		if f /= 1024; f < 1024 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

func flags(f tree.Flags) string {
	if f == 0 {
		return "-"
	}
	return f.String()
}

// placement is "INBOX FS" or "INBOX FS [work]".
func placement(p tree.Placement) string {
	s := Word(p.Folder) + " " + flags(p.Flags)
	if len(p.Keywords) > 0 {
		s += " [" + words(p.Keywords) + "]"
	}
	return s
}

// placements are one side's of a message; none is "gone".
func placements(ps []tree.Placement) string {
	if len(ps) == 0 {
		return "gone"
	}
	var out []string
	for _, p := range ps {
		out = append(out, placement(p))
	}
	return strings.Join(out, "; ")
}

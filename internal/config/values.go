package config

import (
	"fmt"
	"math"
	"path"
	"strings"
	"time"
	"unicode"

	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// absolutePath wants the one spelling of a path, so that two of them can be
// compared as text.
func absolutePath(s string) (string, error) {
	if !path.IsAbs(s) || path.Clean(s) != s || strings.ContainsFunc(s, unicode.IsControl) {
		return "", fmt.Errorf(`%q is no absolute path without "." and "..", doubled or trailing "/"`, s)
	}
	return s, nil
}

func layoutFS(s string) (bool, error) {
	l, err := tree.ParseLayout(s)
	if err != nil {
		return false, fmt.Errorf("%q is none of maildir++, fs", s)
	}
	return l.FS, nil
}

// encodingUTF8 reads how folder names are written on disk: in the modified
// UTF-7 of RFC 3501 section 5.1.3, or with Dovecot's setting
// mailbox_list_utf8 (a mail location's UTF-8 option) as they are.
func encodingUTF8(s string) (bool, error) {
	switch s {
	case "mutf-7", "utf-8":
		return s == "utf-8", nil
	}
	return false, fmt.Errorf("%q is none of mutf-7, utf-8", s)
}

func count(v any) (int, error) {
	n, ok := v.(int64)
	if !ok {
		return 0, wants("a whole number from 0 on", v)
	}
	if n < 0 || n > math.MaxInt32 {
		return 0, fmt.Errorf("%d is no number from 0 to %d", n, math.MaxInt32)
	}
	return int(n), nil
}

// maxExpire has no 0: what is to stay online has keep = "all".
func maxExpire(v any) (int, error) {
	n, ok := v.(int64)
	if !ok {
		return 0, wants("a whole number from 1 on", v)
	}
	if n < 1 || n > math.MaxInt32 {
		return 0, fmt.Errorf(`%d is no number from 1 to %d; without the key there is no limit, and keep = "all" expires nothing`, n, math.MaxInt32)
	}
	return int(n), nil
}

// timezone reads a name of the IANA time zone database. "" and "Local", which
// time.LoadLocation knows, are none.
func timezone(s string) (*time.Location, error) {
	if s != "" && s != "Local" {
		if l, err := time.LoadLocation(s); err == nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf(`%q is no time zone that this system knows, wants a name like "Europe/Berlin"`, s)
}

// senders reads patterns of addresses. One without "@" and "*" matches none.
func senders(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, wants("an array of strings", v)
	}
	var out []string
	for _, elem := range list {
		s, ok := elem.(string)
		if !ok {
			return nil, fmt.Errorf("wants an array of strings, has %s in it", kind(elem))
		}
		switch {
		case !strings.ContainsAny(s, "@*"):
			return nil, fmt.Errorf("%q matches no address, wants one like %q or %q", s, s+"@*", "*@example.org")
		case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
			return nil, fmt.Errorf("%q has a blank, no address can: it is the address alone, without a name", s)
		case strings.ContainsAny(s, "<>"):
			return nil, fmt.Errorf("%q has a <>: it is the address alone", s)
		}
		out = append(out, s)
	}
	return out, nil
}

func includeNew(v any) (merge.Keep, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return merge.Keep{Unit: merge.KeepNone}, nil
		}
		return merge.Keep{}, nil
	case string:
		if k, err := merge.ParseKeep(v); err == nil && k.N > 0 {
			return k, nil
		}
		return merge.Keep{}, fmt.Errorf(`%q is none of false, true, "N days" (or weeks, months, years)`, v)
	}
	return merge.Keep{}, wants(`false, true or "N days"`, v)
}

// pattern refuses what merge.Match would take, but match nothing or something
// else than it looks like.
func pattern(s string) (string, error) {
	for level := range strings.SplitSeq(s, "/") {
		switch {
		case level == "":
			return "", fmt.Errorf("%q has an empty level, wants names with one \"/\" between", s)
		case level != "**" && strings.Contains(level, "**"):
			return "", fmt.Errorf("%q has \"**\" beside other characters, it stands for whole levels: \"lists/**\"", s)
		case strings.ContainsFunc(level, unicode.IsControl):
			return "", fmt.Errorf("%q has a control character, no folder name can", s)
		}
	}
	return s, nil
}

func preserveMin(s string) (string, error) {
	_, err := snapshot.ParseSchedule(s, "no")
	return s, err
}

func preserve(s string) (string, error) {
	_, err := snapshot.ParseSchedule("no", s)
	return s, err
}

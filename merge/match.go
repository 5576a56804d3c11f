package merge

import "strings"

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

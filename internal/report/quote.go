package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxQuoted bounds a quoted text in runes: a Subject can be as long as a mail.
const maxQuoted = 200

// Quote shows a text that came from a mail store, a Subject for one, between
// double quotes. Printable UTF-8 stays readable; control characters, bytes that
// are no UTF-8 and marks that turn the direction of writing are escaped as in Go.
// Longer texts are cut off, with "…" after the closing quote.
func Quote(s string) string {
	runes := 0
	for i := range s {
		if runes == maxQuoted {
			return strconv.Quote(s[:i]) + "…"
		}
		runes++
	}
	return strconv.Quote(s)
}

// Word shows a name (folder, key, keyword) as it is if it looks like one word,
// else quoted, so that it can neither be taken for several nor for "-", which
// stands for none.
func Word(s string) string {
	quoted := strconv.Quote(s)
	if s == "" || s == "-" || s == "->" || strings.Contains(s, " ") || quoted[1:len(quoted)-1] != s {
		return quoted
	}
	return s
}

// words joins names with a space, "-" for none.
func words(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = Word(n)
	}
	return strings.Join(out, " ")
}

// Clean makes an error message safe to print. Messages quote what they name, so
// this changes nothing, but one that forgot to must not reach a terminal.
func Clean(s string) string {
	var b strings.Builder
	for i, r := range s {
		_, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

// jsonText returns s for a JSON string. JSON is UTF-8 and encoding/json makes
// U+FFFD of any other byte, which would give two names one spelling; such a
// string is written quoted as in Go instead: "\"caf\\xe9\"".
func jsonText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strconv.Quote(s)
}

// jsonTexts is jsonText for a list, never null.
func jsonTexts(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = jsonText(s)
	}
	return out
}

// document returns v as one line of JSON. What is not printable is escaped:
// the document may well be looked at on a terminal, where C1 controls count.
func document(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // only our own types get here, and they hold nothing that JSON lacks
	}
	s := b.String()
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var out strings.Builder
	for _, r := range s {
		switch {
		case !hidden(r):
			out.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

// hidden tells whether a character of a JSON document has to be escaped.
// Outside of strings JSON has ASCII only, inside them the encoder has escaped
// what lies below the space.
func hidden(r rune) bool { return r >= 0x7f && !strconv.IsPrint(r) }

// ordered returns a map's keys in order.
func ordered[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Package sender finds addresses in a From header, however broken it is.
package sender

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxHeader bounds what is looked at of a header, in bytes.
	maxHeader = 64 << 10
	// maxAddress is the longest address, in bytes (RFC 5321 section 4.5.3.1).
	maxAddress = 64 + 1 + 255
	// maxAddresses bounds what one header can name.
	maxAddresses = 100
)

// Addresses returns the addresses of a From header's value as they are written
// there, in order; none if there is no telling. The value is as it stands in the
// mail, folded or not, and not decoded: what an encoded word says is a name, not
// an address. net/mail gives up on much that is in real mailboxes, so this is a
// scanner that never fails: of each part between commas it takes what stands in
// the last <>, else the only word with an "@" in it. Names in quotes and comments
// count for nothing, or a name could pass for a sender.
func Addresses(from string) []string {
	var out []string
	s := scanner{}
	end := func() {
		if a := s.address(); a != "" && len(out) < maxAddresses {
			out = append(out, a)
		}
		s = scanner{}
	}
	from = from[:min(len(from), maxHeader)]
	for i := 0; i < len(from); i++ {
		c := from[i]
		if s.state == plain && (c == ',' || c == ';') {
			end()
			continue
		}
		if c == '\\' && (s.state == quoted || s.depth > 0) {
			i++ // the next byte is no quote, no parenthesis
			continue
		}
		s.take(c)
	}
	end()
	return out
}

type state uint8

const (
	plain   state = iota
	quoted        // between "
	angle         // between < and >
	comment       // between ( and )
)

// A scanner reads one part of the header.
type scanner struct {
	state  state
	depth  int // of comments
	words  strings.Builder
	inside strings.Builder
	angled bool // there was a <>
}

func (s *scanner) take(c byte) {
	switch s.state {
	case quoted:
		if c == '"' {
			s.state = plain
		}
	case comment:
		switch c {
		case '(':
			s.depth++
		case ')':
			if s.depth--; s.depth == 0 {
				s.state = plain
			}
		}
	case angle:
		if c == '>' {
			s.state = plain
		} else {
			s.inside.WriteByte(c)
		}
	default:
		s.start(c)
	}
}

func (s *scanner) start(c byte) {
	switch c {
	case '"':
		s.state = quoted
		s.words.WriteByte(' ')
	case '(':
		s.state, s.depth = comment, 1
		s.words.WriteByte(' ')
	case '<':
		s.state, s.angled = angle, true
		s.inside.Reset()
	case ':': // a group's name ends
		s.words.Reset()
	default:
		s.words.WriteByte(c)
	}
}

// address returns the part's address, or "".
func (s *scanner) address() string {
	if s.angled {
		a := strings.TrimSpace(s.inside.String())
		if i := strings.LastIndexByte(a, ':'); i >= 0 {
			a = a[i+1:] // a route: <@a,@b:user@host>
		}
		if valid(a) {
			return a
		}
		return ""
	}
	found := ""
	for _, word := range strings.Fields(s.words.String()) {
		if !strings.Contains(word, "@") {
			continue
		}
		if found != "" || !valid(word) {
			return ""
		}
		found = word
	}
	return found
}

func valid(a string) bool {
	at := strings.LastIndexByte(a, '@')
	return at > 0 && at < len(a)-1 && len(a) <= maxAddress && utf8.ValidString(a) &&
		!strings.ContainsFunc(a, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) })
}

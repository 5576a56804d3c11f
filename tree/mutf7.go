package tree

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf16"
)

// modified is the base64 of RFC 3501 5.1.3: ',' for '/', no padding. Strict:
// bits left over must be zero.
var modified = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding).Strict()

var errMUTF7 = errors.New("not modified UTF-7")

// encodeMUTF7 writes valid UTF-8 as RFC 3501 5.1.3 tells: printable ASCII as it
// is, "&" as "&-", all else in base64 of UTF-16.
func encodeMUTF7(s string) string {
	var b strings.Builder
	var run []rune // waits for its base64: one run is one shift
	flush := func() {
		if len(run) == 0 {
			return
		}
		var u []byte
		for _, c := range utf16.Encode(run) {
			u = binary.BigEndian.AppendUint16(u, c)
		}
		b.WriteString("&" + modified.EncodeToString(u) + "-")
		run = run[:0]
	}
	for _, r := range s {
		switch {
		case r == '&':
			flush()
			b.WriteString("&-")
		case ' ' <= r && r <= '~':
			flush()
			b.WriteRune(r)
		default:
			run = append(run, r)
		}
	}
	flush()
	return b.String()
}

// decodeMUTF7 is the inverse of encodeMUTF7. It fails for everything that
// encodeMUTF7 does not write: a character has one encoding only (RFC 3501
// 5.1.3), else two names on disk would be one folder.
func decodeMUTF7(s string) (string, error) {
	var b strings.Builder
	for rest := s; rest != ""; {
		plain, shifted, ok := strings.Cut(rest, "&")
		b.WriteString(plain)
		if !ok {
			break
		}
		code, after, ok := strings.Cut(shifted, "-")
		if !ok {
			return "", errMUTF7
		}
		rest = after
		if code == "" {
			b.WriteByte('&')
			continue
		}
		u, err := modified.DecodeString(code)
		if err != nil || len(u)%2 != 0 {
			return "", errMUTF7
		}
		units := make([]uint16, len(u)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(u[2*i:])
		}
		// A lone surrogate becomes U+FFFD here and differs below.
		b.WriteString(string(utf16.Decode(units)))
	}
	if encodeMUTF7(b.String()) != s {
		return "", errMUTF7
	}
	return b.String(), nil
}

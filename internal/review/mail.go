package review

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"regexp"
	"strings"

	"snapmerge/internal/charset"
	"snapmerge/internal/report"
)

const (
	// maxRead bounds what is read of a mail, maxText what is shown of it, in bytes.
	maxRead = 1 << 20
	maxText = 64 << 10
	// maxDepth bounds multiparts within multiparts, maxParts how many there are.
	maxDepth = 8
	maxParts = 100
	// maxHeader bounds one header as it is shown, in runes.
	maxHeader = 500
)

// Preview returns a mail as lines that are safe to print: its main headers, then
// its first text part, decoded. However broken the mail is, what can be read is
// shown.
func Preview(mail io.Reader) (lines []string) {
	r := bufio.NewReader(io.LimitReader(mail, maxRead))
	head := readHead(r)
	for _, name := range []string{"From", "To", "Subject", "Date"} {
		if v := head.Get(name); v != "" {
			lines = append(lines, name+": "+cut(report.Clean(charset.Words(v))))
		}
	}
	text, note := textOf(head, r, 0)
	if lines = append(lines, ""); note != "" {
		lines = append(lines, "["+note+"]", "")
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\r\n\t "), "\n") {
		lines = append(lines, report.Clean(strings.ReplaceAll(strings.TrimRight(line, "\r"), "\t", "    ")))
	}
	return lines
}

func cut(s string) string {
	if r := []rune(s); len(r) > maxHeader {
		return string(r[:maxHeader]) + "…"
	}
	return s
}

// readHead reads headers up to the empty line. A line that is none is passed
// over: net/mail would give the whole mail up for it.
func readHead(r *bufio.Reader) textproto.MIMEHeader {
	head := textproto.MIMEHeader{}
	last := ""
	for {
		line, err := r.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		switch {
		case line == "":
			return head
		case (line[0] == ' ' || line[0] == '\t') && last != "":
			v := head[last]
			v[len(v)-1] += " " + strings.TrimSpace(line)
		case ok:
			last = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))
			head[last] = append(head[last], strings.TrimSpace(value))
		}
		if err != nil {
			return head
		}
	}
}

// textOf finds the text of a mail or a part. note says what a person should know
// about it.
func textOf(head textproto.MIMEHeader, body io.Reader, depth int) (text, note string) {
	kind, params, err := mime.ParseMediaType(head.Get("Content-Type"))
	if err != nil && kind == "" {
		kind = "text/plain" // also of a mail that does not say (RFC 2045 section 5.2)
	}
	switch {
	case strings.HasPrefix(kind, "multipart/") && depth < maxDepth:
		return textOfParts(params["boundary"], body, depth)
	case kind == "text/html":
		return stripTags(decode(head, params["charset"], body)), "HTML, shown without its marks"
	case strings.HasPrefix(kind, "text/"):
		return decode(head, params["charset"], body), ""
	}
	return "", fmt.Sprintf("no text: %s", report.Clean(kind))
}

// textOfParts takes the first part that is plain text, else the first that is text
// at all.
func textOfParts(boundary string, body io.Reader, depth int) (text, note string) {
	parts := multipart.NewReader(body, boundary)
	note = "no text in any part"
	for range maxParts {
		p, err := parts.NextRawPart()
		if err != nil {
			break
		}
		if d, _, _ := mime.ParseMediaType(p.Header.Get("Content-Disposition")); d == "attachment" {
			continue
		}
		t, n := textOf(p.Header, p, depth+1)
		if t != "" && n == "" {
			return t, n
		}
		if t != "" && text == "" {
			text, note = t, n
		}
	}
	return text, note
}

// decode undoes transfer encoding and charset. Where the encoding is broken, what
// came before is the text; of a charset that nobody knows the bytes are.
func decode(head textproto.MIMEHeader, name string, body io.Reader) string {
	switch strings.ToLower(strings.TrimSpace(head.Get("Content-Transfer-Encoding"))) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	if name != "" {
		if r, err := charset.Reader(name, body); err == nil {
			body = r
		}
	}
	b, _ := io.ReadAll(io.LimitReader(body, maxText))
	return string(b)
}

var (
	unseen = regexp.MustCompile(`(?is)<!--.*?-->|<(script|style|head)\b.*?</(script|style|head)\s*>`)
	breaks = regexp.MustCompile(`(?i)<(br|/p|/div|/tr|/h\d|/li)\b[^>]*>`)
	tags   = regexp.MustCompile(`(?s)<[^>]*>`)
	blanks = regexp.MustCompile(`[ \t\r\n]+`)
	empty  = regexp.MustCompile(`\n[ \n]*\n`)
)

// stripTags makes text of HTML, good enough to see what a mail is about.
func stripTags(s string) string {
	s = blanks.ReplaceAllString(unseen.ReplaceAllString(s, ""), " ")
	s = tags.ReplaceAllString(breaks.ReplaceAllString(s, "\n"), "")
	return strings.TrimSpace(empty.ReplaceAllString(html.UnescapeString(s), "\n\n"))
}

package engine

import (
	"bufio"
	"io"
	"strings"

	"snapmerge/internal/charset"
)

// headerLimit is how much of a mail is read for its headers.
const headerLimit = 64 << 10

// readHeaders reads From, Subject and Date of a mail, however broken it is: a
// line without a colon or an mbox line ends nothing, and of a header that comes
// twice the first counts. net/mail gives up on such mails, and a list for a
// person must show them above all. The texts are as the mail says them, decoded
// (RFC 2047) but not made safe to print.
func readHeaders(mail io.Reader) (from, subject, date string) {
	raw := readRaw(mail, "from", "subject", "date")
	return charset.Words(raw["from"]), charset.Words(raw["subject"]), charset.Words(raw["date"])
}

// readRaw reads the values of the headers of those names, in lower case, as they
// stand in the mail but for the folding.
func readRaw(mail io.Reader, names ...string) map[string]string {
	r := bufio.NewReader(io.LimitReader(mail, headerLimit))
	values := map[string]*strings.Builder{}
	for _, n := range names {
		values[n] = &strings.Builder{}
	}
	var current *strings.Builder
	for {
		line, err := r.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if current != nil {
				current.WriteString(" " + strings.TrimSpace(line))
			}
		} else if name, value, ok := strings.Cut(line, ":"); ok {
			current = values[strings.ToLower(strings.TrimSpace(name))]
			if current != nil && current.Len() > 0 {
				current = nil
			}
			if current != nil {
				current.WriteString(strings.TrimSpace(value))
			}
		}
		if err != nil {
			break
		}
	}
	out := map[string]string{}
	for n, v := range values {
		out[n] = v.String()
	}
	return out
}

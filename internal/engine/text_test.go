package engine

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// TestBareNewlines: what W= has to add to a mail's size, also where a CRLF is cut
// in two by the end of what is read at once.
func TestBareNewlines(t *testing.T) {
	block := strings.Repeat("x", 64<<10)
	for _, tt := range []struct {
		name, mail string
		want       int64
	}{
		{"empty", "", 0},
		{"no line ends", "abc", 0},
		{"LF", "a\nb\n", 2},
		{"CRLF", "a\r\nb\r\n", 0},
		{"mixed", "a\nb\r\n\n\r\n", 2},
		{"CR alone", "a\rb\r", 0},
		{"LF first", "\n", 1},
		{"CR CR LF", "\r\r\n", 0},
		{"LF CR", "\n\r", 1},
		{"CRLF across two blocks", block[1:] + "\r\n", 0},
		{"LF at the start of a block", block + "\n", 1},
		{"CR before a block that has none", block[1:] + "\rx\n", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole":        strings.NewReader(tt.mail),
				"byte by byte": iotest.OneByteReader(strings.NewReader(tt.mail)),
			} {
				if n, err := bareNewlines(r); n != tt.want || err != nil {
					t.Errorf("%s: %d, %v; want %d", name, n, err, tt.want)
				}
			}
		})
	}
	if _, err := bareNewlines(iotest.TimeoutReader(strings.NewReader(block + block))); err == nil {
		t.Error("an error while reading is lost")
	}
}

// TestReadHeaders: a person is shown what can be found, however broken the mail is.
func TestReadHeaders(t *testing.T) {
	long := strings.Repeat("X-Spam: "+strings.Repeat("y", 1015)+"\n", 64) // 64 KiB
	for _, tt := range []struct {
		name, mail string
		want       [3]string // From, Subject, Date
	}{
		{"plain", "From: a@b\r\nSubject: Hi\r\nDate: today\r\n\r\nSubject: body\r\n", [3]string{"a@b", "Hi", "today"}},
		{"any case, spaces", "FROM : a@b\nsubJECT:Hi  \n\n", [3]string{"a@b", "Hi", ""}},
		{"folded", "Subject: one\n two\n\tthree\nFrom: a@b\n\n", [3]string{"a@b", "one two three", ""}},
		{"what is folded below another header is that one's", "Subject: one\nX-Other: x\n two\n\n", [3]string{"", "one", ""}},
		{"the first of two counts", "Subject: one\nSubject: two\n more\n\n", [3]string{"", "one", ""}},
		{"mbox line, line without a colon", "From a@b Mon Jan 1\nrubbish\nSubject: Hi\n\n", [3]string{"", "Hi", ""}},
		{"begins folded", " lost\nSubject: Hi\n\n", [3]string{"", "Hi", ""}},
		{"ends in the middle of a header", "From: a@b\nSubject: H", [3]string{"a@b", "H", ""}},
		{"empty", "", [3]string{}},
		{"no headers", "\nSubject: body\n", [3]string{}},
		{"RFC 2047", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?b?/Gg=?=\n\n", [3]string{"", "Grüßeüh", ""}},
		{"RFC 2047, folded", "Subject: =?utf-8?q?a?=\n =?utf-8?q?b?=\n\n", [3]string{"", "ab", ""}},
		{"RFC 2047 of other charsets", "From: =?koi8-r?b?8NLJ18XU?= <a@b>\nSubject: =?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=\nDate: =?euc-kr?b?vsiz5w==?=\n\n",
			[3]string{"Привет <a@b>", "日本語", "안녕"}},
		{"RFC 2047 of a charset that nobody knows", "Subject: =?x-none?q?a?=\n\n", [3]string{"", "=?x-none?q?a?=", ""}},
		{"escapes are kept as they are", "Subject: \x1b[2J\x07 red\n\n", [3]string{"", "\x1b[2J\x07 red", ""}},
		{"the last line of 64 KiB", long[:len(long)-len("Subject: Hi\n")-1] + "\nSubject: Hi\nFrom: a@b\n\n", [3]string{"", "Hi", ""}},
		{"after 64 KiB", long + "Subject: Hi\n\n", [3]string{}},
		{"one line without end", "Subject: " + strings.Repeat("a", 1<<20), [3]string{"", strings.Repeat("a", headerLimit-len("Subject: ")), ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from, subject, date := readHeaders(strings.NewReader(tt.mail))
			if d := cmp.Diff(tt.want, [3]string{from, subject, date}); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

package dovecottest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Mail is a message of the selected folder as a client sees it.
type Mail struct {
	UID      int
	Flags    string // flags and keywords, sorted, without \Recent
	Received string // INTERNALDATE
	Text     string // of what was fetched: BODY[], or a part of it
}

var (
	fetchUID   = regexp.MustCompile(`[( ]UID (\d+)`)
	fetchFlags = regexp.MustCompile(`[( ]FLAGS \(([^)]*)\)`)
	fetchDate  = regexp.MustCompile(`[( ]INTERNALDATE "([^"]*)"`)
	fetchBody  = regexp.MustCompile(`(?s)BODY\[[^]]*\] \{(\d+)\}\r\n(.*)`)
)

// ParseFetch reads the FETCH lines of a reply: those parts of them that are there.
func ParseFetch(lines []string) (mails []Mail) {
	for _, l := range lines {
		head, _, _ := strings.Cut(l, "\r\n")
		uid := fetchUID.FindStringSubmatch(head)
		if uid == nil || !strings.Contains(head, " FETCH (") {
			continue
		}
		var m Mail
		m.UID, _ = strconv.Atoi(uid[1])
		if f := fetchFlags.FindStringSubmatch(head); f != nil {
			flags := slices.DeleteFunc(strings.Fields(f[1]), func(s string) bool { return s == `\Recent` })
			slices.Sort(flags)
			m.Flags = strings.Join(flags, " ")
		}
		if d := fetchDate.FindStringSubmatch(head); d != nil {
			m.Received = d[1]
		}
		if b := fetchBody.FindStringSubmatch(l); b != nil {
			n, _ := strconv.Atoi(b[1])
			m.Text = b[2][:min(n, len(b[2]))]
		}
		mails = append(mails, m)
	}
	return mails
}

// Mails returns the messages of the selected folder, with their texts. No
// message becomes \Seen by it.
func (c *Client) Mails() []Mail {
	c.t.Helper()
	return ParseFetch(c.Do("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])"))
}

// Flags returns the flags and keywords of every message of the selected folder
// by UID, sorted, without \Recent.
func (c *Client) Flags() map[int]string {
	c.t.Helper()
	flags := map[int]string{}
	for _, m := range ParseFetch(c.Do("UID FETCH 1:* (UID FLAGS)")) {
		flags[m.UID] = m.Flags
	}
	return flags
}

var listed = regexp.MustCompile(`^\* LIST \(([^)]*)\) (?:"."|NIL) "?(.*?)"?$`)

// Folders returns the names of all folders that can be selected, as they stand
// in the answer: modified UTF-7.
func (c *Client) Folders() (names []string) {
	c.t.Helper()
	for _, l := range c.Do(`LIST "" *`) {
		if m := listed.FindStringSubmatch(l); m != nil && !strings.Contains(strings.ToLower(m[1]), `\noselect`) {
			names = append(names, strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(m[2]))
		}
	}
	slices.Sort(names)
	return names
}

var validity = regexp.MustCompile(`UIDVALIDITY (\d+)`)

// Open selects a folder, read-only with EXAMINE: then mail in new/ stays there.
// It returns the folder's UIDVALIDITY.
func (c *Client) Open(command, folder string) string {
	c.t.Helper()
	all := strings.Join(c.Do("%s %s", command, Quote(folder)), "\n")
	m := validity.FindStringSubmatch(all)
	if m == nil {
		c.t.Fatalf("%s %s: no UIDVALIDITY in %q", command, folder, all)
	}
	return m[1]
}

// Quote writes an IMAP string.
func Quote(s string) string {
	return fmt.Sprintf(`"%s"`, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s))
}

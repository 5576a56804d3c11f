package dovecottest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Client is an IMAP session. Any answer but OK ends the test.
type Client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	tag  int
}

// Login opens a session.
func (s *Server) Login(t testing.TB) *Client {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &Client{t: t, conn: conn, r: bufio.NewReader(conn)}
	c.line()
	c.Do("LOGIN user x")
	return c
}

// Do sends a command and returns the untagged lines that came before its OK,
// each with the literals in it.
func (c *Client) Do(format string, args ...any) []string {
	c.t.Helper()
	c.tag++
	tag := "a" + strconv.Itoa(c.tag) + " "
	cmd := fmt.Sprintf(format, args...)
	c.send(tag + cmd + "\r\n")
	return c.answer(cmd, tag)
}

// Append saves a message, with flags like `\Seen kw`.
func (c *Client) Append(folder, flags, message string) {
	c.t.Helper()
	c.tag++
	tag := "a" + strconv.Itoa(c.tag) + " "
	c.send(fmt.Sprintf("%sAPPEND %s (%s) {%d}\r\n", tag, folder, flags, len(message)))
	if l := c.line(); !strings.HasPrefix(l, "+") {
		c.t.Fatalf("APPEND: %s", l)
	}
	c.send(message + "\r\n")
	c.answer("APPEND", tag)
}

func (c *Client) answer(cmd, tag string) (lines []string) {
	c.t.Helper()
	for {
		l := c.line()
		rest, ok := strings.CutPrefix(l, tag)
		if !ok {
			lines = append(lines, l)
			continue
		}
		if !strings.HasPrefix(rest, "OK") {
			c.t.Fatalf("%s: %s", cmd, l)
		}
		return lines
	}
}

func (c *Client) send(s string) {
	c.conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatal(err)
	}
}

var literal = regexp.MustCompile(`\{(\d+)\}\r\n$`)

func (c *Client) line() string {
	var b strings.Builder
	for {
		l, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("imap: %v", err)
		}
		b.WriteString(l)
		m := literal.FindStringSubmatch(l)
		if m == nil {
			return strings.TrimRight(b.String(), "\r\n")
		}
		n, _ := strconv.Atoi(m[1])
		if _, err := io.CopyN(&b, c.r, int64(n)); err != nil {
			c.t.Fatalf("imap: %v", err)
		}
	}
}

var fetch = regexp.MustCompile(`^\* \d+ FETCH \(.*UID (\d+) FLAGS \(([^)]*)\)`)

// Flags returns the flags and keywords of every message of the selected folder
// by UID, sorted as Dovecot sorts them, without \Recent.
func (c *Client) Flags() map[int]string {
	c.t.Helper()
	flags := map[int]string{}
	for _, l := range c.Do("UID FETCH 1:* (UID FLAGS)") {
		if m := fetch.FindStringSubmatch(l); m != nil {
			uid, _ := strconv.Atoi(m[1])
			f := strings.Fields(strings.ReplaceAll(m[2], `\Recent`, ""))
			flags[uid] = strings.Join(f, " ")
		}
	}
	return flags
}

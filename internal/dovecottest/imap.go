package dovecottest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Client is an IMAP session. Its methods that return no error end the test
// for any answer but OK.
type Client struct {
	t    testing.TB // nil: from [Server.Dial]
	conn net.Conn
	r    *bufio.Reader
	tag  int
}

// A Reply is what a server answers to a command.
type Reply struct {
	Lines  []string // the untagged lines before it, each with the literals in it
	Status string   // "OK", "NO" or "BAD" and the text after it
}

// OK reports whether the command was carried out.
func (r Reply) OK() bool { return strings.HasPrefix(r.Status, "OK") }

// timeout is longer than Dovecot waits for a lock (120 s in maildir-uidlist.c).
const timeout = 130 * time.Second

// Login opens a session.
func (s *Server) Login(t testing.TB) *Client {
	t.Helper()
	return s.LoginAs(t, "user")
}

// LoginAs opens a session of that user; any name is one.
func (s *Server) LoginAs(t testing.TB, user string) *Client {
	t.Helper()
	c, err := s.Dial(user)
	if err != nil {
		t.Fatal(err)
	}
	c.t = t
	t.Cleanup(c.Close)
	return c
}

// Dial is LoginAs outside of a test's goroutine: the client's methods that
// return no error must not be used.
func (s *Server) Dial(user string) (*Client, error) {
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn, r: bufio.NewReader(conn)}
	c.conn.SetDeadline(time.Now().Add(timeout))
	if _, err := c.line(); err != nil {
		return nil, err
	}
	switch r, err := c.Try("LOGIN %s x", user); {
	case err != nil:
		return nil, err
	case !r.OK():
		return nil, errors.New(r.Status)
	}
	return c, nil
}

// Close ends the session without a word.
func (c *Client) Close() { c.conn.Close() }

// Try sends a command. The error is that of a session that has ended; what the
// server said before is in the reply.
func (c *Client) Try(format string, args ...any) (Reply, error) {
	c.tag++
	tag := "a" + strconv.Itoa(c.tag) + " "
	c.conn.SetDeadline(time.Now().Add(timeout))
	if _, err := io.WriteString(c.conn, tag+fmt.Sprintf(format, args...)+"\r\n"); err != nil {
		return Reply{}, err
	}
	return c.reply(tag)
}

func (c *Client) reply(tag string) (r Reply, err error) {
	for {
		l, err := c.line()
		if err != nil {
			return r, fmt.Errorf("imap: %w %q", err, r.Lines)
		}
		if rest, ok := strings.CutPrefix(l, tag); ok {
			r.Status = rest
			return r, nil
		}
		r.Lines = append(r.Lines, l)
	}
}

// Do sends a command and returns the untagged lines that came before its OK.
func (c *Client) Do(format string, args ...any) []string {
	c.t.Helper()
	r, err := c.Try(format, args...)
	if err != nil || !r.OK() {
		c.t.Fatalf("%s: %s %v", fmt.Sprintf(format, args...), r.Status, err)
	}
	return r.Lines
}

// Append saves a message, with flags like `\Seen kw`.
func (c *Client) Append(folder, flags, message string) {
	c.t.Helper()
	c.Do("APPEND %q (%s) {%d+}\r\n%s", folder, flags, len(message), message)
}

// Idle begins to listen. The session is then good for Hear and Done only.
func (c *Client) Idle() {
	c.t.Helper()
	c.tag++
	c.conn.SetDeadline(time.Now().Add(timeout))
	fmt.Fprintf(c.conn, "a%d IDLE\r\n", c.tag)
	for {
		l, err := c.line()
		if err != nil {
			c.t.Fatalf("IDLE: %v", err)
		}
		if strings.HasPrefix(l, "+") {
			return
		}
	}
}

// Hear returns what an idle session is told, until enough says that all has come
// or the time is over. That the session ends is no error: a BYE is among the lines.
func (c *Client) Hear(within time.Duration, enough func(lines []string) bool) (lines []string) {
	c.t.Helper()
	c.conn.SetDeadline(time.Now().Add(within))
	for !enough(lines) {
		l, err := c.line()
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			c.t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// Done ends listening, and returns what was told in the meantime.
func (c *Client) Done() []string {
	c.t.Helper()
	c.conn.SetDeadline(time.Now().Add(timeout))
	io.WriteString(c.conn, "DONE\r\n")
	r, err := c.reply("a" + strconv.Itoa(c.tag) + " ")
	if err != nil || !r.OK() {
		c.t.Fatalf("IDLE: %s %v", r.Status, err)
	}
	return r.Lines
}

var literal = regexp.MustCompile(`\{(\d+)\}\r\n$`)

// line reads a line, with the literals in it. What came of a line before an
// error is kept for the next call.
func (c *Client) line() (string, error) {
	var b strings.Builder
	for {
		l, err := c.r.ReadString('\n')
		b.WriteString(l)
		if err != nil {
			c.r = bufio.NewReader(io.MultiReader(strings.NewReader(b.String()), c.r))
			return "", err
		}
		m := literal.FindStringSubmatch(l)
		if m == nil {
			return strings.TrimRight(b.String(), "\r\n"), nil
		}
		n, _ := strconv.Atoi(m[1])
		if _, err := io.CopyN(&b, c.r, int64(n)); err != nil {
			return "", err
		}
	}
}

package dovecottest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"
)

// Deliver hands a message to the server by LMTP (RFC 2033), as a mail exchanger
// does: Return-Path, Delivered-To and Received are added, the script decides
// where it goes. Lines may end with LF.
func (s *Server) Deliver(user, message string) error {
	conn, err := net.Dial("tcp", s.LMTP)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(timeout))
	r := bufio.NewReader(conn)
	text := strings.ReplaceAll(strings.TrimSuffix(strings.ReplaceAll(message, "\r\n", "\n"), "\n"), "\n", "\r\n")
	for _, say := range []struct{ line, want string }{
		{"", "220"},
		{"LHLO test", "250"},
		{"MAIL FROM:<sender@example.org>", "250"},
		{"RCPT TO:<" + user + ">", "250"},
		{"DATA", "354"},
		{strings.ReplaceAll(text, "\r\n.", "\r\n..") + "\r\n.", "250"},
	} {
		if say.line != "" {
			fmt.Fprintf(conn, "%s\r\n", say.line)
		}
		if err := expect(r, say.want); err != nil {
			return err
		}
	}
	return nil
}

// expect reads an answer, of several lines perhaps.
func expect(r *bufio.Reader, code string) error {
	for {
		l, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("lmtp: %w", err)
		}
		if !strings.HasPrefix(l, code) {
			return fmt.Errorf("lmtp: %q", l)
		}
		if !strings.HasPrefix(l, code+"-") {
			return nil
		}
	}
}

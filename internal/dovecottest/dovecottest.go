// Package dovecottest runs a private Dovecot for tests: its own configuration and
// directories, IMAP and LMTP on free ports of 127.0.0.1, mail as a user without
// a name. Its clients are small: a command is a line of text, an answer is lines
// of text.
package dovecottest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// UID is the user and group that mail belongs to. No account is needed for it.
const UID = 5000

// A Server is a running Dovecot.
type Server struct {
	Addr string // of its IMAP service, "127.0.0.1:port"
	LMTP string // of its LMTP service
	// Excused, if not nil, tells of a complaint that the test can explain.
	Excused func(line string) bool

	log string
}

// Start runs a Dovecot whose only mailbox is the Maildir mail, which may carry
// options: "/path:LAYOUT=fs". It ends with the test, and the test fails if
// Dovecot has logged something of [Server.Complaints]. Without dovecot the test
// fails: one that is skipped proves nothing.
func Start(t testing.TB, mail string) *Server {
	t.Helper()
	return StartWith(t, Options{Mail: mail})
}

// StartWith is Start with more options.
func StartWith(t testing.TB, o Options) *Server {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("dovecottest: needs root, run the tests with sudo")
	}
	bin, err := exec.LookPath("dovecot")
	if err != nil {
		t.Fatalf("dovecottest: %v; scripts/install-deps.sh installs what is needed", err)
	}
	dir, err := os.MkdirTemp("", "dovecottest") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	imap, lmtp := freePort(t), freePort(t)
	if err := prepare(dir, o, imap, lmtp); err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: fmt.Sprintf("127.0.0.1:%d", imap), LMTP: fmt.Sprintf("127.0.0.1:%d", lmtp), log: filepath.Join(dir, "log")}
	cmd := exec.Command(bin, "-F", "-c", filepath.Join(dir, "dovecot.conf"))
	if o.Host != "" {
		cmd.Env = append(os.Environ(), "DOVECOT_HOSTNAME="+o.Host)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t, cmd) })
	s.wait(t)
	return s
}

// prepare makes the directories and the configuration; the mail user must reach
// its home.
func prepare(dir string, o Options, imap, lmtp int) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for _, d := range []string{"run", "state", "home"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "home", "script.sieve"), []byte(o.Sieve), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "dovecot.conf"), []byte(o.config(dir, imap, lmtp)), 0o644); err != nil {
		return err
	}
	return os.Chown(filepath.Join(dir, "home"), UID, UID)
}

func freePort(t testing.TB) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// wait waits for the greeting: the port alone is open before logins work.
func (s *Server) wait(t testing.TB) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", s.Addr); err == nil {
			c.SetReadDeadline(time.Now().Add(time.Second))
			n, _ := c.Read(make([]byte, 100))
			c.Close()
			if n > 0 {
				return
			}
		}
	}
	t.Fatalf("dovecottest: no greeting\n%s", s.Log())
}

func (s *Server) stop(t testing.TB, cmd *exec.Cmd) {
	cmd.Process.Signal(syscall.SIGTERM) // the master takes its children with it
	cmd.Wait()
	for _, line := range s.Complaints() {
		if s.Excused == nil || !s.Excused(line) {
			t.Errorf("dovecottest: %s", line)
		}
	}
}

// Log returns what Dovecot has logged so far.
func (s *Server) Log() string {
	b, _ := os.ReadFile(s.log)
	return string(b)
}

// complaint matches what Dovecot logs if something is wrong with its mail, its
// files or itself. The sentences are those of maildir-sync.c,
// maildir-sync-index.c and maildir-uidlist.c.
var complaint = regexp.MustCompile(`Error:|Panic:|Fatal:|(?i:corrupt)|Expunged message reappeared|Fixed a duplicate|Unlinked a duplicate|` +
	`duplicate file|renaming already|UIDVALIDITY changed|Maildir filename has wrong`)

// Complaints returns the lines of the log that say that something is wrong.
func (s *Server) Complaints() (lines []string) {
	for line := range strings.Lines(s.Log()) {
		if complaint.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

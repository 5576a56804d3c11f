// Package dovecottest runs a private Dovecot for tests: its own configuration and
// directories, IMAP on a free port of 127.0.0.1, mail as a user without a name.
package dovecottest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	log  string
}

// config is for Dovecot 2.3. The lock timeout and everything about maildir are
// Dovecot's defaults.
const config = `
base_dir = @DIR@/run
state_dir = @DIR@/state
log_path = @DIR@/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
first_valid_uid = @UID@
mail_uid = @UID@
mail_gid = @UID@
mail_location = maildir:@MAIL@
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
namespace inbox {
  inbox = yes
  separator = /
}
service imap-login {
  chroot =
  inet_listener imap {
    address = 127.0.0.1
    port = @PORT@
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
passdb {
  driver = static
  args = password=x
}
userdb {
  driver = static
  args = uid=@UID@ gid=@UID@ home=@DIR@/home
}
`

// Start runs a Dovecot whose only mailbox is the Maildir mail, which may carry
// options: "/path:LAYOUT=fs". It ends with the test, and the test fails if
// Dovecot has logged an error or a panic. Without dovecot the test fails: one
// that is skipped proves nothing.
func Start(t testing.TB, mail string) *Server {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("dovecottest: needs root, run the tests with sudo")
	}
	bin, err := exec.LookPath("dovecot")
	if err != nil {
		t.Fatalf("dovecottest: %v; install dovecot-core and dovecot-imapd (scripts/install-deps.sh)", err)
	}
	dir, err := os.MkdirTemp("", "dovecottest") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := prepare(dir); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	conf := filepath.Join(dir, "dovecot.conf")
	text := strings.NewReplacer("@DIR@", dir, "@MAIL@", mail, "@UID@", strconv.Itoa(UID), "@PORT@", strconv.Itoa(port)).Replace(config)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: fmt.Sprintf("127.0.0.1:%d", port), log: filepath.Join(dir, "log")}
	cmd := exec.Command(bin, "-F", "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(t, cmd) })
	s.wait(t)
	return s
}

// prepare makes the directories; the mail user must reach its home.
func prepare(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	for _, d := range []string{"run", "state", "home"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
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
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
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
	for line := range strings.Lines(s.Log()) {
		if strings.Contains(line, "Error:") || strings.Contains(line, "Panic:") || strings.Contains(line, "Fatal:") {
			t.Errorf("dovecottest: %s", strings.TrimSpace(line))
		}
	}
}

// Log returns what Dovecot has logged so far.
func (s *Server) Log() string {
	b, _ := os.ReadFile(s.log)
	return string(b)
}

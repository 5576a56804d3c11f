// Package sshtest runs a private sshd(8) for tests: on a free port of 127.0.0.1,
// with its own configuration, host key and user key. Root logs in, by that key only.
// Nothing in /etc/ssh or /root is read or written.
package sshtest

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

// A Server is a running sshd.
type Server struct {
	// SSH is the ssh command line that reaches it as the host "mx": words
	// without quotes. Others of its configuration are "wrong-key" (a key that it does not
	// know), "wrong-host-key" (it has another key than expected) and "wrong-port" (nobody listens).
	SSH  string
	Port int
	// Dir holds all files and goes with the test.
	Dir string
	log string
}

const serverConfig = `
ListenAddress 127.0.0.1
Port @PORT@
HostKey @DIR@/host
AuthorizedKeysFile @DIR@/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
MaxStartups 100
LogLevel INFO
UseDNS no
`

const clientConfig = `
Host wrong-key
	IdentityFile @DIR@/stranger
Host * !wrong-key
	IdentityFile @DIR@/user
Host wrong-host-key
	UserKnownHostsFile @DIR@/known_hosts_wrong
Host wrong-port
	Port @CLOSED@
Host *
	HostName 127.0.0.1
	Port @PORT@
	User root
	IdentitiesOnly yes
	IdentityAgent none
	UserKnownHostsFile @DIR@/known_hosts
	GlobalKnownHostsFile /dev/null
	StrictHostKeyChecking yes
	LogLevel ERROR
	KexAlgorithms curve25519-sha256
`

// Start runs an sshd. forced is the command of its authorized_keys line, which
// runs whatever a client asks for; "": the client's command runs. It ends with
// the test. Without sshd the test fails: one that is skipped proves nothing.
func Start(t testing.TB, forced string) *Server {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("sshtest: needs root, run the tests with sudo")
	}
	// sshd re-executes itself and so wants an absolute path.
	bin := "/usr/sbin/sshd"
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("sshtest: %v; install openssh-server (scripts/install-deps.sh)", err)
	}
	dir, err := os.MkdirTemp("", "sshtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &Server{Dir: dir, Port: freePort(t), log: filepath.Join(dir, "log")}
	s.SSH = "ssh -F " + filepath.Join(dir, "ssh_config")
	s.writeKeys(t, forced)
	replace := strings.NewReplacer("@DIR@", dir, "@PORT@", strconv.Itoa(s.Port), "@CLOSED@", strconv.Itoa(freePort(t)))
	s.write(t, "sshd_config", replace.Replace(serverConfig))
	s.write(t, "ssh_config", replace.Replace(clientConfig))
	// The directory that the part without privileges is locked into. Debian's
	// service makes it when it starts.
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Fatal(err)
	}
	s.run(t, bin)
	return s
}

// run starts sshd and waits until it listens.
func (s *Server) run(t testing.TB, bin string) {
	t.Helper()
	log, err := os.Create(s.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(bin, "-D", "-e", "-f", filepath.Join(s.Dir, "sshd_config"))
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("sshtest: sshd does not listen: %v\n%s", err, s.Log())
		}
	}
}

// writeKeys makes the keys, and the files that name them.
func (s *Server) writeKeys(t testing.TB, forced string) {
	t.Helper()
	for _, name := range []string{"host", "user", "stranger"} {
		out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(s.Dir, name)).CombinedOutput()
		if err != nil {
			t.Fatalf("sshtest: ssh-keygen: %v: %s", err, out)
		}
	}
	options := "restrict "
	if forced != "" {
		options = fmt.Sprintf("restrict,command=\"%s\" ", strings.ReplaceAll(forced, `"`, `\"`))
	}
	s.write(t, "authorized_keys", options+s.public(t, "user"))
	s.write(t, "known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s", s.Port, s.public(t, "host")))
	s.write(t, "known_hosts_wrong", fmt.Sprintf("[127.0.0.1]:%d %s", s.Port, s.public(t, "stranger")))
}

func (s *Server) public(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Dir, name+".pub"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (s *Server) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Log returns what sshd has logged.
func (s *Server) Log() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Hung returns the ssh command line to a port where somebody accepts connections
// and never says a word, as a host that has run out of memory does.
func Hung(t testing.TB) (ssh string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return fmt.Sprintf("ssh -F none -p %d", l.Addr().(*net.TCPAddr).Port)
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

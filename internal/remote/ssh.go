package remote

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"snapmerge/internal/pipe"
)

// safeWord is what the shell over there takes as it is.
var safeWord = regexp.MustCompile(`^[A-Za-z0-9_./+][A-Za-z0-9_./+-]*$`)

// CheckHost refuses what ssh could take for an option, and what a shell in its
// configuration (ProxyCommand %h) could take for more than a name.
func CheckHost(host string) error {
	if host == "" || host[0] == '-' || strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune("'\"`$\\;&<>|(){}*?!#,=^", r)
	}) {
		return fmt.Errorf(`%q is no ssh destination, wants "host", "user@host" or a name from ssh_config`, host)
	}
	return nil
}

// CheckAgent refuses a program name that the shell over there could read as
// anything else.
func CheckAgent(name string) error {
	if !safeWord.MatchString(name) {
		return fmt.Errorf(`%q is no name of a program, wants letters, digits and "._/+-", not beginning with "-"`, name)
	}
	return nil
}

// sshArgs returns the command line. The user's words come first, and ssh takes
// the first value that it is given for an option: "ssh -o BatchMode=no" wins.
func (o Options) sshArgs() ([]string, error) {
	words := strings.Fields(o.SSH)
	if len(words) == 0 {
		return nil, errors.New("ssh: no command is given")
	}
	if err := CheckHost(o.Host); err != nil {
		return nil, fmt.Errorf("host: %w", err)
	}
	if err := CheckAgent(o.Agent); err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	if !safeWord.MatchString(o.Mailbox) {
		return nil, fmt.Errorf("mailbox %q: no such name", o.Mailbox)
	}
	return append(words, "-T", "-o", "BatchMode=yes", "-o", "ForwardAgent=no", "-o", "ForwardX11=no",
		"--", o.Host, o.Agent, "agent", "--mailbox", o.Mailbox), nil
}

// A process is a running ssh.
type process struct {
	in     *os.File // its standard input and output
	out    *os.File
	stderr *tail
	cmd    *exec.Cmd
	done   chan struct{} // closed when it has ended and err is set
	err    error
}

// start runs ssh in a session of its own: a Ctrl-C on the terminal is for us,
// who end the operation in order, and not for the connection. ssh then
// has no terminal to ask for a password on; BatchMode forbids it anyway.
func start(args []string) (*process, error) {
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	outR, outW, err := pipe.Wide()
	if err != nil {
		return nil, errors.Join(err, inR.Close(), inW.Close())
	}
	p := &process{in: inW, out: outR, stderr: &tail{}, done: make(chan struct{})}
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = inR, outW, p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// A ControlPersist master keeps standard error open for hours.
	p.cmd.WaitDelay = 500 * time.Millisecond
	err = p.cmd.Start()
	inR.Close()
	outW.Close()
	if err != nil {
		inW.Close()
		outR.Close()
		return nil, err
	}
	go func() {
		defer close(p.done)
		if p.err = p.cmd.Wait(); errors.Is(p.err, exec.ErrWaitDelay) {
			p.err = nil
		}
	}()
	return p, nil
}

// Close ends the agent by closing its input, waits that long for ssh to end by
// itself, and then kills it together with what it has started.
func (p *process) close(grace time.Duration) {
	p.in.Close()
	if grace > 0 {
		select {
		case <-p.done:
		case <-time.After(grace):
		}
	}
	p.kill()
	p.out.Close()
}

func (p *process) kill() {
	select {
	case <-p.done:
	default:
		// Not reaped yet, so the number is still its own.
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		p.cmd.Process.Kill()
		<-p.done
	}
}

// said is what ssh has said, for an error: its exit status, and the last lines
// of its standard error, both as far as they are there.
func (p *process) said() string {
	out := ""
	select {
	case <-p.done:
		if p.exited() > 0 { // and was not killed by us
			out = "ssh: " + p.err.Error()
		}
	default:
	}
	if s := p.stderr.String(); s != "" {
		if out != "" {
			out += ": "
		}
		out += fmt.Sprintf("%q", s)
	}
	return out
}

// exited returns the exit status of ssh: that of the command over there, or 255
// if ssh itself failed; -1 if it is still running or was killed.
func (p *process) exited() int {
	select {
	case <-p.done:
		if p.err == nil {
			return 0
		}
		if e, ok := errors.AsType[*exec.ExitError](p.err); ok {
			return e.ExitCode()
		}
	default:
	}
	return -1
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// maxTail is enough for the last lines: what went wrong is said last.
const maxTail = 500

// Write implements [io.Writer].
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-maxTail):]...)
	if n := len(t.buf) - maxTail; n > 0 {
		t.buf = append(t.buf[:0], t.buf[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.ReplaceAll(string(t.buf), "\r\n", "\n")
	if _, rest, ok := strings.Cut(text, "\n"); ok && len(t.buf) == maxTail && strings.TrimSpace(rest) != "" {
		text = rest // the first line is half a line
	}
	return strings.TrimSpace(text)
}

var _ io.Writer = (*tail)(nil)

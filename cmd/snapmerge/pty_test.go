package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// A terminal runs a program on a pseudo-terminal and keeps what it writes.
type terminal struct {
	t      testing.TB
	master *os.File
	cmd    *exec.Cmd
	gone   chan struct{}

	mu  sync.Mutex
	out []byte
}

// openPty returns both ends of a new pseudo-terminal of that size.
func openPty(t testing.TB, columns, rows int) (master, slave *os.File) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: uint16(rows)})
	}
	if err == nil {
		slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// onTerminal starts a command with the terminal as its controlling one.
func onTerminal(t testing.TB, columns, rows int, cmd *exec.Cmd) *terminal {
	master, slave := openPty(t, columns, rows)
	defer slave.Close()
	x := &terminal{t: t, master: master, cmd: cmd, gone: make(chan struct{})}
	x.cmd.Stdin, x.cmd.Stdout, x.cmd.Stderr = slave, slave, slave
	x.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(x.gone)
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf) // EIO when the last process has closed its end
			x.mu.Lock()
			x.out = append(x.out, buf[:n]...)
			x.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return x
}

func (x *terminal) written() []byte {
	x.mu.Lock()
	defer x.mu.Unlock()
	return bytes.Clone(x.out)
}

func (x *terminal) screen() string { return screenOf(x.written(), 80, 24) }

// wait waits until the screen shows a text.
func (x *terminal) wait(text string) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if strings.Contains(x.screen(), text) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%q does not appear on\n%s", text, x.screen())
		}
	}
}

// still waits until nothing has been written for a moment, and returns the screen.
func (x *terminal) still() string {
	for before := -1; ; time.Sleep(100 * time.Millisecond) {
		n := len(x.written())
		if n == before {
			return x.screen()
		}
		before = n
	}
}

// day is what of a screen is another one in each run.
var day = regexp.MustCompile(`, \d{4}-\d\d-\d\d`)

// play carries out a line: "wait TEXT", "type KEYS" with KEYS as in a Go string.
func (x *terminal) play(line string) error {
	what, text, _ := strings.Cut(line, " ")
	switch what {
	case "wait":
		return x.wait(text)
	case "type":
		keys, err := strconv.Unquote(`"` + text + `"`)
		if err == nil {
			_, err = x.master.WriteString(keys)
		}
		return err
	}
	return fmt.Errorf("%q: neither wait nor type", line)
}

// onPty is the command "terminal N KEYS CMD ARG..." of scripts: it runs the command
// on a terminal of 80 x 24, plays the lines of the file KEYS, and wants exit status
// N. A line "show FILE" writes what the screen shows, "run CMD" runs something else
// meanwhile; at the end all that was written is in terminal.raw.
func onPty(ts *testscript.TestScript, t *testing.T, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	cmd := exec.Command(path, args[3:]...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8", "COLUMNS=", "LINES=", "FS="+ts.Getenv("FS"),
		"TERM="+ts.Getenv("TERM"), "EDITOR="+ts.Getenv("EDITOR"), "VISUAL=", "SUDO_USER="+ts.Getenv("SUDO_USER"), "WORK="+ts.Getenv("WORK"))
	x := onTerminal(t, 80, 24, cmd)
	ended := false
	defer func() {
		if !ended {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}()
	for line := range strings.SplitSeq(strings.TrimSpace(ts.ReadFile(args[1])), "\n") {
		if file, ok := strings.CutPrefix(line, "show "); ok {
			ts.Check(os.WriteFile(ts.MkAbs(file), day.ReplaceAll([]byte(x.still()), []byte(", YYYY-MM-DD")), 0o600))
		} else if command, ok := strings.CutPrefix(line, "run "); ok {
			words := strings.Fields(command)
			ts.Check(ts.Exec(words[0], words[1:]...))
		} else {
			ts.Check(x.play(line))
		}
	}
	err = cmd.Wait()
	ended = true
	<-x.gone
	ts.Check(os.WriteFile(ts.MkAbs("terminal.raw"), x.written(), 0o600))
	if got := status(err); got != want {
		ts.Fatalf("exit status %d (%v), want %d:\n%s", got, err, want, x.screen())
	}
}

// screenOf is what a terminal shows after these bytes: of ECMA-48 what tcell and
// this program use. What it does not know it shows.
func screenOf(out []byte, columns, rows int) string {
	s := vt{columns: columns, rows: rows}
	s.clear()
	for len(out) > 0 {
		out = out[s.step(out):]
	}
	var b strings.Builder
	for _, line := range s.cells {
		b.WriteString(strings.TrimRight(string(line), " \x00") + "\n")
	}
	return strings.ReplaceAll(b.String(), "\x00", "")
}

type vt struct {
	columns, rows, x, y int
	cells               [][]rune
}

func (s *vt) clear() {
	s.cells = make([][]rune, s.rows)
	for y := range s.cells {
		s.cells[y] = []rune(strings.Repeat(" ", s.columns))
	}
}

// step takes the next character or sequence and returns its length.
func (s *vt) step(out []byte) int {
	switch r, n := utf8.DecodeRune(out); {
	case r == '\x1b' && len(out) > 1:
		return s.sequence(out)
	case r == '\r':
		s.x = 0
	case r == '\n':
		if s.y++; s.y == s.rows {
			s.y--
			s.cells = append(s.cells[1:], []rune(strings.Repeat(" ", s.columns)))
		}
	case r == '\b':
		s.x = max(0, s.x-1)
	case r == '\x0e' || r == '\x0f' || r == '\x1b' || r == 0:
	default:
		if s.x < s.columns {
			s.cells[s.y][s.x] = r
			s.x++
		}
		return n
	}
	return 1
}

func (s *vt) sequence(out []byte) int {
	switch out[1] {
	case ']': // to BEL or ST
		if i := bytes.IndexAny(out, "\a\\"); i > 0 {
			return i + 1
		}
		return len(out)
	case '(', ')':
		return min(3, len(out))
	case '[':
		end := 2
		for end < len(out)-1 && out[end] < 0x40 {
			end++
		}
		s.control(string(out[2:end]), out[end])
		return end + 1
	}
	return 2
}

func (s *vt) control(params string, final byte) {
	switch final {
	case 'H':
		s.x, s.y = 0, 0
		if _, err := fmt.Sscanf(params, "%d;%d", &s.y, &s.x); err == nil {
			s.x, s.y = min(s.x, s.columns)-1, min(s.y, s.rows)-1
		}
	case 'J':
		s.clear()
	case 'K':
		copy(s.cells[s.y][s.x:], []rune(strings.Repeat(" ", s.columns)))
	case 'C':
		n, _ := strconv.Atoi(params)
		s.x += max(1, n)
	}
}

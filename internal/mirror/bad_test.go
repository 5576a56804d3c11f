package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/stream"
	"snapmerge/snapshot"
)

// badChildren are processes that a child could be after a stream has got the
// better of it.
var badChildren = map[string]func(){
	"ends":            func() {},
	"panics":          func() { panic("\x1b[2J") },
	"hangs":           func() { time.Sleep(time.Hour) },
	"hangs at last":   func() { say(encode(full)); tell(`{"kind":"done"}`); os.Stdout.Close(); time.Sleep(time.Hour) },
	"hangs, reported": func() { tell(`{"kind":"stream","text":"x"}`); unix.Close(reportFd); time.Sleep(time.Hour) },
	"hangs silently":  func() { os.Stdout.Close(); time.Sleep(time.Hour) },
	"zeros":           func() { flood1(make([]byte, 4096)) },
	"names": func() {
		say(noEnd(full))
		flood1(stream.AppendCommand(nil, stream.Command{Op: stream.Mkfile, Path: "x", Ino: 300}))
	},
	"other snapshot": func() {
		say(encode(with(full, func(c *stream.Command) { c.UUID = otherUUID })))
		tell(`{"kind":"done"}`)
	},
	"increment":        func() { say(encode(increment)); tell(`{"kind":"done"}`) },
	"no end":           func() { say(noEnd(full)); tell(`{"kind":"done"}`) },
	"done, and fails":  func() { say(encode(full)); tell(`{"kind":"done"}`); os.Exit(3) },
	"long report":      func() { say(encode(full)); tell(`{"kind":"done","text":"` + strings.Repeat("x", 1<<20)) },
	"two reports":      func() { say(encode(full)); tell(`{"kind":"done"}{"kind":"done"}`) },
	"unknown field":    func() { say(encode(full)); tell(`{"kind":"done","mailbox":"chris"}`) },
	"negative numbers": func() { say(encode(full)); tell(`{"kind":"done","refused":-1}`) },
	"unknown kind":     func() { say(encode(full)); tell(`{"kind":"fine"}`) },
	"blinking error":   func() { tell(`{"kind":"stream","text":"\u001b[5m"}`); os.Exit(1) },
	"long error":       func() { io.CopyN(os.Stderr, zero{}, 10<<20); os.Exit(2) },
	"has a child": func() {
		c := exec.Command("/bin/sleep", "1000")
		c.Stdout, c.ExtraFiles = os.Stdout, []*os.File{os.NewFile(reportFd, "report")}
		c.Start()
	},
	"unconfined": func() { tellChecks() },
}

func noEnd(list ...stream.Command) []byte {
	b := encode(list...)
	return b[:len(b)-10]
}

type zero struct{}

func (zero) Read(b []byte) (int, error) { return len(b), nil }

func say(b []byte) { os.Stdout.Write(b) }

func tell(s string) { os.NewFile(reportFd, "report").WriteString(s) }

func flood1(b []byte) {
	for {
		if _, err := os.Stdout.Write(b); err != nil {
			return
		}
	}
}

// TestBadChild: whatever the child does, Receive ends with an error that tells of
// it, and nothing stays.
func TestBadChild(t *testing.T) {
	defer func(name string, d time.Duration) { childArg0, lastWords = name, d }(childArg0, lastWords)
	lastWords = 300 * time.Millisecond
	f := btrfstest.Shared(t)
	home := filepath.Join(f.Path, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"ends": "no report", "panics": "no report", "hangs at last": "killed", "hangs silently": "killed", "hangs, reported": "wrong: x", "zeros": "says is wrong: stream: header",
		"names": "mkfile in a full stream", "other snapshot": "subvol of another stream", "increment": "snapshot of another stream",
		"no end": "ended badly", "done, and fails": "ended badly", "long report": "report of more than", "two reports": "data after it",
		"unknown field": "unknown field", "negative numbers": "negative", "unknown kind": "makes no sense", "blinking error": `\x1b[5m`,
		"long error": "no report", "has a child": "no report",
	} {
		t.Run(name, func(t *testing.T) {
			childArg0 = "bad child: " + name
			check := leaks(t)
			r, w := openPipe(t) // nobody closes it meanwhile: online waits for us
			_, err := Receive(t.Context(), Options{Dir: home, Name: "online.1", UUID: nowUUID}, r)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\x1b") || len(err.Error()) > 10_000 {
				t.Errorf("%v, want %q", err, want)
			}
			w.Close()
			check()
			nothingIn(t, home)
		})
	}
	t.Run("hangs", func(t *testing.T) {
		childArg0 = "bad child: hangs"
		ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, errors.New("enough"))
		defer cancel()
		check := leaks(t)
		_, err := Receive(ctx, Options{Dir: home, Name: "online.1", UUID: nowUUID}, io.NopCloser(bytes.NewReader(make([]byte, 1<<20))))
		if err == nil || !strings.Contains(err.Error(), "enough") {
			t.Errorf("%v", err)
		}
		check()
		nothingIn(t, home)
	})
}

func nothingIn(t *testing.T, home string) {
	t.Helper()
	if list, err := os.ReadDir(home); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}

func openPipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// tellChecks tries what a child must not be able to do, in a process that can.
func tellChecks() {
	abi, err := landlockABI()
	var blind []string
	for _, c := range checks(abi) {
		if c.stopped(c.do()) {
			blind = append(blind, c.what)
		}
	}
	report{Kind: kindConfine, Text: fmt.Sprintf("blind: %q, %v, %v", blind, err, verifyState())}.write(os.NewFile(reportFd, "report"))
}

// TestVerifySees: none of the checks of the confinement passes in a process that
// is not confined, so each of them would see what it is for.
func TestVerifySees(t *testing.T) {
	defer func(name string) { childArg0 = name }(childArg0)
	childArg0 = "bad child: unconfined"
	f := btrfstest.Shared(t)
	_, err := Receive(t.Context(), Options{Dir: f.Path, Name: "online.1", UUID: nowUUID}, bytesIn(nil))
	if !errors.Is(err, ErrConfine) || !strings.Contains(err.Error(), `blind: [], <nil>, no_new_privs is 0`) {
		t.Errorf("%v", err)
	}
	for _, p := range []string{"/" + probe, filepath.Join(f.Path, probe), filepath.Join(f.Path, "online.1.part")} {
		if _, err := os.Lstat(p); err == nil {
			t.Errorf("left: %s", p)
		}
	}
}

// TestConfined looks at a child from outside while it waits for its stream: every
// thread is without capabilities and can get none, its root directory is home's
// directory of snapshots, its network is not ours.
func TestConfined(t *testing.T) {
	s := newStore(t, btrfstest.Shared(t))
	s.mails(2000, 3000)
	s.snap()
	b := s.stream(0)
	r, w := openPipe(t)
	done := make(chan error, 1)
	go func() {
		_, err := Receive(t.Context(), s.options(0), r)
		done <- err
	}()
	go w.Write(b[:len(b)-100]) // it makes thousands of files: all its threads are there
	pid := childOf(t)
	for !ready(s.home + "/online.0.part/cur") {
		time.Sleep(time.Millisecond)
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(tasks) < 3 {
		t.Errorf("%d threads, %v", len(tasks), err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		for _, want := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
			if !bytes.Contains(status, []byte(want+":\t0000000000000000\n")) {
				t.Errorf("%s: %s\n%s", task, want, status)
			}
		}
		if !bytes.Contains(status, []byte("NoNewPrivs:\t1\n")) {
			t.Errorf("%s: new privileges", task)
		}
	}
	if root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid)); root != s.home {
		t.Errorf("its root directory is %s, %v", root, err)
	}
	for _, ns := range []string{"net", "pid", "ipc"} {
		its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns))
		if ours, _ := os.Readlink("/proc/self/ns/" + ns); its == ours || err != nil {
			t.Errorf("%s is ours: %v", its, err)
		}
	}
	if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); len(env) != 0 || err != nil {
		t.Errorf("environment %q, %v", env, err)
	}
	w.Close()
	if err := <-done; !errors.Is(err, ErrInput) {
		t.Error(err)
	}
}

// childOf waits until this process has a child that is confined.
func childOf(t *testing.T) int {
	t.Helper()
	for range 1000 {
		kids, _ := filepath.Glob("/proc/self/task/*/children")
		for _, k := range kids {
			b, _ := os.ReadFile(k)
			var pid int
			if n, _ := fmt.Sscan(string(b), &pid); n == 1 {
				if arg, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); bytes.HasPrefix(arg, []byte(childName+"\x00"+confined)) {
					return pid
				}
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("no child")
	return 0
}

func ready(dir string) bool {
	list, _ := os.ReadDir(dir)
	return len(list) > 100
}

// TestInput: what is wrong with reading the stream is told apart from what is
// wrong with the stream, and never makes Receive wait.
func TestInput(t *testing.T) {
	s := newStore(t, btrfstest.Shared(t))
	s.mails(300, 3000)
	s.snap()
	b := s.stream(0)
	broken := errors.New("connection reset")
	check := func(what string, ctx context.Context, in io.ReadCloser, want ...error) {
		t.Helper()
		leak := leaks(t)
		_, err := Receive(ctx, s.options(0), in)
		leak()
		for _, w := range want {
			if !errors.Is(err, w) {
				t.Errorf("%s: %v, want %v", what, err, w)
			}
		}
		if s.inHome() != "" {
			t.Errorf("%s: left %s", what, s.inHome())
		}
	}
	half := len(b) / 2
	check("a read error", t.Context(), io.NopCloser(io.MultiReader(bytes.NewReader(b[:half]), errReader{broken})), ErrInput, broken)
	check("a read error at once", t.Context(), io.NopCloser(errReader{broken}), ErrInput, broken)
	check("half of it", t.Context(), bytesIn(b[:half]), ErrInput, io.ErrUnexpectedEOF)
	check("nothing", t.Context(), bytesIn(nil), ErrInput, io.ErrUnexpectedEOF)

	r, w := openPipe(t)
	go w.Write(bytes.Repeat([]byte("nonsense"), 10))
	check("nonsense, and then silence", t.Context(), r, ErrStream)
	w.Close()

	r, w = openPipe(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { w.Write(b[:half]); cancel(broken) }()
	check("cancelled in the middle", ctx, r, broken)
	w.Close()
	if err := errors.Join(ErrInput); errors.Is(err, ErrStream) || errors.Is(ErrMismatch, ErrStream) {
		t.Error("kinds of errors are not apart")
	}
	check("cancelled before", ctx, bytesIn(b), broken)
	s.must(0)
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// TestNames: a mirror that is there stays; what a killed receive has left goes;
// one that comes meanwhile stays too.
func TestNames(t *testing.T) {
	s := newStore(t, btrfstest.Shared(t))
	s.mails(20, 3000)
	s.snap()
	b := s.stream(0)
	left, err := snapshot.Create(s.home, "online.0")
	if err != nil {
		t.Fatal(err)
	}
	left.Close()
	res := s.must(0)
	before := everything(t, s.home)
	if _, err := Receive(t.Context(), s.options(0), bytesIn(b)); !errors.Is(err, snapshot.ErrExists) {
		t.Errorf("again: %v", err)
	}
	if after := everything(t, s.home); len(after) != len(before) || s.inHome() != "online.0" {
		t.Errorf("%d names, were %d; %s", len(after), len(before), s.inHome())
	}
	o := s.options(0)
	o.Name = "online.9"
	o.Progress = func(int64) { os.Mkdir(filepath.Join(s.home, "online.9"), 0o700) }
	if _, err := Receive(t.Context(), o, bytesIn(b)); !errors.Is(err, unix.EEXIST) || s.inHome() != "online.0 online.9" {
		t.Errorf("one that has come meanwhile: %v; %s", err, s.inHome())
	}
	o.Name, o.Parent, o.ParentUUID = "online.2", "online.1", s.uuid(0)
	if _, err := Receive(t.Context(), o, bytesIn(b)); !errors.Is(err, snapshot.ErrNotExist) {
		t.Errorf("no parent: %v", err)
	}
	if _, err := Receive(t.Context(), Options{Dir: s.home, Name: "online.3"}, bytesIn(b)); err == nil {
		t.Error("received without a UUID to expect")
	}
	var read int64
	o = s.options(0)
	o.Name, o.Progress = "online.4", func(n int64) { read = n }
	if r, err := Receive(t.Context(), o, bytesIn(b)); err != nil || read != int64(len(b)) || r.Bytes != read || res.Bytes != read {
		t.Errorf("progress %d of %d bytes: %+v, %v", read, len(b), r, err)
	}
}

// TestNoSpace: a full disk is told of as such, and gives all of its space back.
func TestNoSpace(t *testing.T) {
	s := newStore(t, btrfstest.Shared(t))
	s.mails(400, 500_000)
	s.snap()
	f := btrfstest.New(t, 128<<20)
	o := s.options(0)
	o.Dir = f.Path
	_, err := Receive(t.Context(), o, bytesIn(s.stream(0)))
	if !errors.Is(err, ErrLocal) || !strings.Contains(err.Error(), "no space left") {
		t.Error(err)
	}
	if list, _ := os.ReadDir(f.Path); len(list) != 0 {
		t.Errorf("left: %v", list)
	}
}

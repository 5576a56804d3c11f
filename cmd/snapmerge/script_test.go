package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/mirror"
	"snapmerge/internal/sshtest"
)

var update = flag.Bool("update", false, "write what the scripts see into their golden files")

func TestMain(m *testing.M) {
	if mirror.IsChild() {
		mirror.Child()
	}
	testscript.Main(m, map[string]func(){"snapmerge": main, "normal": normal})
}

// TestScripts runs testdata/script. The commands of its own:
//
//	exit N CMD ARG...       runs the command, which must exit with N
//	mailboxes NAME...       makes two empty stores for each on a real btrfs, and
//	                        snapmerge.toml; sets FS, and ONLINE and OFFLINE of the first
//	mail PATH [SUBJECT]     writes a mail of the year 2015, and the directories above it
//	lock DIR                holds the lock on a snapshots directory
//	interrupt FILE CMD...   runs the command, sends SIGINT when FILE is there, and
//	                        wants it to exit with 130
//	far NAME                puts the mailbox's online side behind a real sshd, with a key
//	                        that may run its agent only; FAR is its ssh_config
//	terminal N KEYS CMD...  runs the command on a terminal of 80 x 24, see onPty
//	nobody N CMD ARG...     is exit for an ordinary user; the output is in nobody.out
func TestScripts(t *testing.T) {
	testscript.Run(t, params(t, "script"))
}

func params(t *testing.T, dir string) testscript.Params {
	fs := btrfstest.New(t) // fails, never skips, where there is no root
	return testscript.Params{
		Dir:           filepath.Join("testdata", dir),
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit": exit,
			"mailboxes": func(ts *testscript.TestScript, _ bool, args []string) {
				makeMailboxes(ts, t, fs, args)
			},
			"mail":      mail,
			"lock":      locked,
			"interrupt": interrupt,
			"nobody":    nobody,
			"terminal": func(ts *testscript.TestScript, _ bool, args []string) {
				onPty(ts, t, args)
			},
			"far": func(ts *testscript.TestScript, _ bool, args []string) {
				far(ts, t, args[0])
			},
		},
	}
}

func exit(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	if got := status(err); got != want {
		ts.Fatalf("exit status %d (%v), want %d", got, err, want)
	}
}

func status(err error) int {
	var exited *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exited):
		return exited.ExitCode()
	}
	return -1
}

func makeMailboxes(ts *testscript.TestScript, t *testing.T, fs *btrfstest.FS, names []string) {
	dir, err := os.MkdirTemp(fs.Path, "t")
	ts.Check(err)
	config := fmt.Sprintf("state_dir = %q\n", filepath.Join(dir, "state"))
	for i, name := range names {
		for _, side := range []string{"offline", "online"} {
			store := filepath.Join(dir, name+"-"+side)
			fs.Subvolume(t, filepath.Join(filepath.Base(dir), name+"-"+side))
			for _, d := range []string{"cur", "new", "tmp"} {
				ts.Check(os.Mkdir(filepath.Join(store, d), 0o700))
			}
			config += fmt.Sprintf("[mailbox.%s.%s]\npath = %q\nsnapshots = %q\n", name, side, store, filepath.Join(dir, "snap", name))
			if i == 0 {
				ts.Setenv(map[string]string{"offline": "OFFLINE", "online": "ONLINE"}[side], store)
			}
		}
	}
	ts.Setenv("FS", dir)
	ts.Check(os.WriteFile(ts.MkAbs("snapmerge.toml"), []byte(config), 0o600))
}

func far(ts *testscript.TestScript, t *testing.T, name string) {
	bin, err := exec.LookPath("snapmerge")
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p := filepath.Join(dir, "snapmerge"); err != nil {
			if _, e := os.Stat(p); e == nil {
				bin, err = p, nil
			}
		}
	}
	ts.Check(err)
	store := filepath.Join(ts.Getenv("FS"), name+"-online")
	snapshots := filepath.Join(ts.Getenv("FS"), "snap-far")
	ts.Check(os.Mkdir(snapshots, 0o700))
	s := sshtest.Start(t, fmt.Sprintf("%s agent --mailbox %s --path %s --snapshots %s", bin, name, store, snapshots))
	file := ts.MkAbs("snapmerge.toml")
	data, err := os.ReadFile(file)
	ts.Check(err)
	section := fmt.Sprintf("[mailbox.%s.online]\npath = %q\n", name, store)
	old := section + fmt.Sprintf("snapshots = %q\n", filepath.Join(ts.Getenv("FS"), "snap", name))
	if !bytes.Contains(data, []byte(old)) {
		ts.Fatalf("no %q in %q", old, data)
	}
	data = bytes.Replace(data, []byte(old), fmt.Appendf(nil, "%ssnapshots = %q\nhost = \"mx\"\nssh = %q\n", section, snapshots, s.SSH), 1)
	ts.Check(os.WriteFile(file, data, 0o600))
	ts.Setenv("FAR", filepath.Join(s.Dir, "ssh_config"))
}

func mail(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	subject := "A mail"
	if len(args) > 1 {
		subject = args[1]
	}
	folder := filepath.Dir(filepath.Dir(path))
	for _, d := range []string{"cur", "new", "tmp"} {
		ts.Check(os.MkdirAll(filepath.Join(folder, d), 0o700))
	}
	text := fmt.Sprintf("From: Ann <ann@example.org>\nSubject: %s\nDate: Mon, 21 Dec 2015 03:31:17 +0100\n\n%s\n", subject, filepath.Base(path))
	ts.Check(os.WriteFile(path, []byte(text), 0o600))
	received := time.Date(2015, 12, 21, 2, 31, 17, 0, time.UTC)
	ts.Check(os.Chtimes(path, received, received))
}

func locked(ts *testscript.TestScript, _ bool, args []string) {
	d, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	ts.Defer(func() { d.Close() })
}

func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	cmd := exec.Command(path, args[2:]...)
	cmd.Dir = ts.Getenv("WORK")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ts.Check(cmd.Start())
	deadline := time.Now().Add(20 * time.Second)
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			break
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			cmd.Wait()
			ts.Fatalf("%s did not appear; %s", args[0], &out)
		}
		time.Sleep(time.Millisecond)
	}
	ts.Check(cmd.Process.Signal(syscall.SIGINT))
	if got := status(cmd.Wait()); got != 130 {
		ts.Fatalf("exit status %d, want 130; %s", got, &out)
	}
	ts.Check(os.WriteFile(ts.MkAbs("interrupted"), out.Bytes(), 0o600))
}

// nobody runs a copy of the program, since where Go puts the test binary only
// its owner can get.
func nobody(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	args = args[1:]
	dir, err := os.MkdirTemp("", "snapmerge-nobody-")
	ts.Check(err)
	ts.Defer(func() { os.RemoveAll(dir) })
	ts.Check(os.Chmod(dir, 0o755))
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	program, err := os.ReadFile(path)
	ts.Check(err)
	copied := filepath.Join(dir, args[0])
	ts.Check(os.WriteFile(copied, program, 0o755))
	for _, name := range args[1:] { // the files that it is to read
		if data, err := os.ReadFile(ts.MkAbs(name)); err == nil {
			ts.Check(os.WriteFile(filepath.Join(dir, name), data, 0o644))
		}
	}
	cmd := exec.Command(copied, args[1:]...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	ts.Check(os.WriteFile(ts.MkAbs("nobody.out"), out, 0o600))
	if got := status(err); got != want {
		ts.Fatalf("exit status %d (%v), want %d: %s", got, err, want, out)
	}
}

// normal copies standard input without what is another one in each run. JSON
// must be one document; it comes out indented, with its keys in order.
func normal() {
	data, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	if fs := os.Getenv("FS"); fs != "" {
		data = bytes.ReplaceAll(data, []byte(fs), []byte("$FS"))
	}
	if bytes.HasPrefix(data, []byte("{")) {
		var v any
		if err := json.Unmarshal(data, &v); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		data, _ = json.MarshalIndent(normalValue("", v), "", "  ")
		data = append(data, '\n')
	}
	for _, r := range []struct{ what, with string }{
		{`\d+\.\d s\b`, "T s"},
		{`\b\d+ ms\b`, "N ms"},
		{`\d{4}-\d\d-\d\d \d\d:\d\d`, "DATE"},
		{`[0-9.]+ [KMGT]iB free`, "N free"},
	} {
		data = regexp.MustCompile(r.what).ReplaceAll(data, []byte(r.with))
	}
	os.Stdout.Write(data)
}

func normalValue(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = normalValue(k, v[k])
		}
	case []any:
		for i := range v {
			v[i] = normalValue("", v[i])
		}
	case float64:
		if key == "seconds" || key == "free_bytes" {
			return "N"
		}
	case string:
		if key == "at" || key == "since" || key == "started" || key == "finished" || key == "oldest" || key == "taken" || strings.HasPrefix(key, "next_") {
			return "TIME"
		}
	}
	return v
}

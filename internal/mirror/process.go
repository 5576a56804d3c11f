package mirror

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"snapmerge/internal/pipe"
)

// A process is a child that runs.
type process struct {
	cmd                    *exec.Cmd
	stdin, applied, report *os.File
	stderr                 tail
	exited                 chan struct{} // closed at its end; exit is valid then
	exit                   error
}

// childArg0 is childName, but in tests of children that are none of ours.
var childArg0 = childName

// start runs this program once more, as a child. Its descriptors: the stream at
// 0, the filtered one at 1, the report at 3, the mirror's root at 4, its parent's
// at 5. It has no environment, and process, network and IPC namespaces of
// its own: whom it can not name it can not signal, and with it goes whatever it
// may have started.
func start(j job, root, parent *os.File) (*process, error) {
	arg, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	p := &process{exited: make(chan struct{})}
	var theirs [3]*os.File // stdin, stdout, 3
	if err := p.pipes(&theirs); err != nil {
		p.close()
		return nil, err
	}
	defer closeAll(theirs[:]...)
	p.cmd = &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{childArg0, unconfined, string(arg)}, Env: []string{}, Dir: "/",
		Stdin: theirs[0], Stdout: theirs[1], Stderr: &p.stderr,
		ExtraFiles: []*os.File{theirs[2], root},
		SysProcAttr: &syscall.SysProcAttr{
			Pdeathsig:  syscall.SIGKILL,
			Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
		},
		WaitDelay: time.Second,
	}
	if parent != nil {
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, parent)
	}
	if err := p.launch(); err != nil {
		p.close()
		return nil, fmt.Errorf("start the receiving process: %w", err)
	}
	return p, nil
}

// launch starts and awaits the child on one thread, which stays as long as it:
// Pdeathsig means the thread that started it, and Go ends threads.
func (p *process) launch() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.exit = p.cmd.Wait()
			close(p.exited)
		}
	}()
	return <-started
}

func (p *process) pipes(theirs *[3]*os.File) (err error) {
	var errs [3]error
	theirs[0], p.stdin, errs[0] = pipe.Wide()
	p.applied, theirs[1], errs[1] = os.Pipe()
	p.report, theirs[2], errs[2] = os.Pipe()
	if err := errors.Join(errs[:]...); err != nil {
		closeAll(theirs[:]...)
		return fmt.Errorf("pipe: %w", err)
	}
	return nil
}

// kill ends the child, and with it, as the first of its namespace, all that it
// may have started.
func (p *process) kill() { p.cmd.Process.Kill() }

// lastWords is how long the child may take to end after its report, or the end
// of the filtered stream: it has nothing left to do.
var lastWords = 10 * time.Second

// expectEnd kills the child if it does not end soon.
func (p *process) expectEnd() *time.Timer { return time.AfterFunc(lastWords, p.kill) }

func (p *process) close() { closeAll(p.stdin, p.applied, p.report) }

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// A tail keeps the beginning of what is written to it, and takes all.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b[:min(len(b), maxText-len(t.buf))]...)
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

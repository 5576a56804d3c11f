// Package hook runs the command that the configuration names for the time after a
// sync: as the user that snapmerge runs as, without a shell.
package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// grace is how long the output of a command that has ended is waited for, as a
// child of its own may hold it open.
const grace = 2 * time.Second

// maxOutput is how many of the last bytes of its output are kept.
const maxOutput = 4 << 10

// Run runs a command with env for at most limit. It has no standard input. The
// error of one that fails ends with the last line that it has printed, as it is:
// who shows it must take it for hostile, for it can be out of a mail. At the
// limit, or when ctx ends, the command's process group is killed.
func Run(ctx context.Context, argv, env []string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var out tail
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = env, &out, &out, grace
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil: // it has left something running
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("killed after %v", limit)
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	if last := out.lastLine(); last != "" {
		return fmt.Errorf("%s: %w: %s", argv[0], err, last)
	}
	return fmt.Errorf("%s: %w", argv[0], err)
}

// tail keeps the end of what is written.
type tail struct{ b []byte }

// Write implements [io.Writer].
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 2*maxOutput {
		t.b = bytes.Clone(t.b[len(t.b)-maxOutput:])
	}
	return len(p), nil
}

func (t *tail) lastLine() string {
	lines := strings.Split(strings.TrimSpace(string(t.b)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

package bench

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A usage is what a command took.
type usage struct {
	Wall, CPU time.Duration
	Memory    int64 // bytes: the largest of its processes
}

// asMeter in the environment makes this program run a command and write its usage
// to descriptor 3. A process of its own, as the kernel counts the memory of who
// starts a program as that program's (getrusage(2), ru_maxrss), and this one has
// held all of a stream.
const asMeter = "SNAPMERGE_BENCH_METER"

func TestMain(m *testing.M) {
	if os.Getenv(asMeter) == "" {
		os.Exit(m.Run())
	}
	os.Unsetenv(asMeter)
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	begun := time.Now()
	err := cmd.Run()
	u := usage{Wall: time.Since(begun)}
	if err != nil {
		os.Exit(1)
	}
	u.CPU = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	u.Memory = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	if json.NewEncoder(os.NewFile(3, "usage")).Encode(u) != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func measured(b *testing.B, args ...string) (out string, u usage) {
	b.Helper()
	self, err := os.Executable()
	must(b, err)
	r, w, err := os.Pipe()
	must(b, err)
	defer r.Close()
	var stdout, stderr strings.Builder
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asMeter+"=1")
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = &stdout, &stderr, []*os.File{w}
	err = cmd.Run()
	w.Close()
	if err != nil {
		b.Fatalf("%q: %v\n%s", args, err, stderr.String())
	}
	must(b, json.NewDecoder(r).Decode(&u))
	return stdout.String(), u
}

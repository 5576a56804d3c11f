package crashtest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/engine"
	"snapmerge/internal/mirror"
)

// childDir makes the test binary a program that runs one sync of the world in
// that directory, and nothing else. That is what is killed.
const childDir = "SNAPMERGE_CRASHTEST_DIR"

// childBatch is how many steps that run acknowledges at a time; none: all of them.
const childBatch = "SNAPMERGE_CRASHTEST_BATCH"

func init() {
	if os.Getenv(childDir) != "" {
		// strace counts system calls by thread. Locked in init, the main goroutine
		// stays on one thread, so the Nth call is the same one in every run.
		runtime.LockOSThread()
	}
}

func TestMain(m *testing.M) {
	if mirror.IsChild() {
		mirror.Child()
	}
	if len(os.Args) > 4 && os.Args[1] == farArg {
		os.Exit(farEnd(os.Args[2:]))
	}
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	// A run that was killed leaves locks, which the next one waits out: the tests
	// are asleep most of the time.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	btrfstest.Main(m)
}

func child(dir string) int {
	batch, _ := strconv.Atoi(os.Getenv(childBatch))
	if _, err := engine.Sync(context.Background(), mailbox(dir), stateDir(dir), engine.Options{Batch: batch}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

package mirror

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"snapmerge/internal/stream"
)

// childName is how the child is called; it is how it knows what it is. Its
// arguments are its state, unconfined or confined, and its job.
const childName = "snapmerge-receive"

const (
	unconfined = "unconfined"
	confined   = "confined"
)

// The descriptors that a child finds open.
const (
	reportFd = 3 + iota
	rootFd
	parentFd
)

// memoryLimit is the heap at which Go begins to collect more eagerly; a stream
// that needs all of the default limits needs as much.
const memoryLimit = 2 << 30

// A job is what the child is told, as JSON.
type job struct {
	UUID, ParentUUID [16]byte
	Increment        bool
	Limits           stream.ReceiveLimits
}

func arguments() string { return os.Args[2] }

// IsChild reports whether this process is one that [Receive] has started. main
// and the TestMain of a package that receives ask it first, and call [Child] then.
func IsChild() bool { return len(os.Args) == 3 && os.Args[0] == childName }

// Child is the receiving process. It gives up all it does not need and becomes
// this program once more, see confine; there it makes sure that what it gave up is
// gone, see verify, and only then reads the first byte of the stream. It does not
// return.
func Child() {
	runtime.LockOSThread()
	debug.SetMemoryLimit(memoryLimit)
	stats, err := serve()
	if writeErr := newReport(stats, err).write(os.NewFile(reportFd, "report")); err == nil {
		err = writeErr
	}
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func serve() (stream.ReceiveStats, error) {
	var j job
	err := json.Unmarshal([]byte(arguments()), &j)
	switch {
	case err != nil:
	case os.Args[1] != confined:
		err = confine(j)
	default:
		err = verify()
	}
	if err != nil {
		return stream.ReceiveStats{}, fmt.Errorf("%w: %w", ErrConfine, err)
	}
	runtime.UnlockOSThread()
	for fd := range parentFd + 1 {
		unix.CloseOnExec(fd)
	}
	o := stream.ReceiveOptions{Root: os.NewFile(rootFd, "mirror"), UUID: j.UUID, ParentUUID: j.ParentUUID, Limits: j.Limits, Applied: os.Stdout}
	if j.Increment {
		o.Parent = os.NewFile(parentFd, "parent")
	}
	return stream.Receive(os.Stdin, o)
}

// Package pipe makes the pipes that a stream passes through on its way home.
package pipe

import (
	"os"

	"golang.org/x/sys/unix"
)

// Size is what every Linux grants (/proc/sys/fs/pipe-max-size).
const Size = 1 << 20

// Wide returns the ends of a pipe that takes [Size] bytes before its writer has to
// wait; 64 KiB, as other pipes, where the kernel does not grant that.
//
// ssh is such a writer. What it can not write it keeps in a buffer that it makes
// anew, and copies, for every packet (OpenSSH sshbuf_allocate): an increment of
// 2 MB that met a slow reader cost it a second of the processor's time.
func Wide() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err != nil {
		return nil, nil, err
	}
	// Not Fd: it would put the pipe into blocking mode, which Close can not interrupt.
	if c, err := w.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, Size) })
	}
	return r, w, nil
}

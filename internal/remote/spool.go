package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"snapmerge/internal/apply"
)

// A spool holds the mails of one request that are to be placed: files without a
// name on the store's file system, so that a mail can be cloned from there, and
// that whatever ends the agent leaves nothing of it.
type spool struct {
	dir   string // of snapshots: nobody but root is there
	files []*os.File
	err   error // why one could not be written; the others need not be, then
}

func (s *spool) close() {
	for _, f := range s.files {
		f.Close() // one that was placed is closed already
	}
}

// mail reads the bytes that follow a step. An error is one of the client's: for
// what goes wrong here it reads on, and the request fails when it is there.
func (a *agent) mail(s *spool, size int64) (source func() (*os.File, error), err error) {
	if len(s.files) == maxPlaces {
		return nil, fmt.Errorf("more than %d mails to be placed", maxPlaces)
	}
	file := s.add()
	for left := size; left > 0; {
		f, err := a.recv(a.ctx, a.timing.Progress)
		if err != nil {
			return nil, err
		}
		if n := int64(len(f.payload)); f.kind != kindData || n == 0 || n > left {
			return nil, fmt.Errorf("%v where %d bytes of a mail are due", f, left)
		}
		left -= int64(len(f.payload))
		if s.err == nil {
			_, err = file.Write(f.payload)
			s.fail(err)
		}
	}
	return func() (*os.File, error) { return file, nil }, nil
}

func (s *spool) add() *os.File {
	fd, err := unix.Open(s.dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		s.fail(&os.PathError{Op: "create a file in", Path: s.dir, Err: err})
		s.files = append(s.files, nil)
		return nil
	}
	f := os.NewFile(uintptr(fd), s.dir)
	s.files = append(s.files, f)
	return f
}

func (s *spool) fail(err error) {
	if s.err == nil && err != nil {
		s.err = fmt.Errorf("receive a mail: %w", err)
	}
}

// A mailError is why a mail could not be sent that has nothing to do with the
// connection.
type mailError struct{ err error }

func (e *mailError) Error() string { return e.err.Error() }

// sendMail sends the bytes of a mail after its step. It must be as long as the step
// says: what was announced has to come.
func (c *Client) sendMail(ctx context.Context, op apply.Op) error {
	f, err := op.Source()
	if err != nil {
		return &mailError{err}
	}
	defer f.Close()
	buf := make([]byte, limits[kindData])
	for left := op.Size; left > 0; {
		if ctx.Err() != nil {
			return &mailError{context.Cause(ctx)}
		}
		n, err := f.Read(buf[:min(int64(len(buf)), left)])
		if err == io.EOF {
			err = errors.New("the mail is shorter than it was")
		}
		if err != nil {
			return &mailError{err}
		}
		if err := c.send(kindData, buf[:n]); err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

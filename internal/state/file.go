package state

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"snapmerge/internal/codec"
)

// version is that of every file in the snapshots directory. Since 2 a record can
// have more than two lines; what is of version 1 can be read.
const version = 2

// tempName is what a file is called until it is complete. One name is enough
// under the lock, and so the next write removes what a crash left.
const tempName = ".snapmerge.tmp"

// publish makes the file name in dir: fill writes it. It appears complete and
// durable, or not at all. If replace is false and name exists, the error is
// fs.ErrExist. The file is returned at its end, open for appending.
func publish(dir *os.File, name string, replace bool, fill func(*os.File) error) (*os.File, error) {
	f, err := temp(dir, name)
	if err != nil {
		return nil, err
	}
	err = fill(f)
	if err == nil {
		// Before the rename: it is not ordered after the data, so a power cut could
		// leave the name with an empty file, or in place of a good one.
		err = f.Sync()
	}
	if err == nil {
		err = renameTemp(dir, name, replace)
	}
	if err != nil {
		f.Close()
		unix.Unlinkat(int(dir.Fd()), tempName, 0)
		return nil, err
	}
	if err := dir.Sync(); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func temp(dir *os.File, name string) (*os.File, error) {
	if err := unix.Unlinkat(int(dir.Fd()), tempName, 0); err != nil && err != unix.ENOENT {
		return nil, err
	}
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(int(dir.Fd()), tempName, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func renameTemp(dir *os.File, name string, replace bool) error {
	var flags uint = unix.RENAME_NOREPLACE
	if replace {
		flags = 0
	}
	return unix.Renameat2(int(dir.Fd()), tempName, int(dir.Fd()), name, flags)
}

// open opens a file of dir for reading. What is no regular file is damage.
func open(dir *os.File, name string) (*os.File, error) {
	// NONBLOCK: a FIFO under that name must not hang the program.
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("%w: no regular file", ErrDamaged))
	}
	return f, nil
}

// remove takes a file away for good; that it is gone already is no error.
func remove(dir *os.File, name string) error {
	if err := unix.Unlinkat(int(dir.Fd()), name, 0); err != nil && err != unix.ENOENT {
		return err
	}
	return dir.Sync()
}

// A seal is the first line of a sealed file: what it is, and the SHA-256 of
// each line that follows. A line can be checked without reading the next.
type seal struct {
	Snapmerge string   // what the file is
	Version   int      // of this format
	SHA256    []string // of the lines after this one, without their newlines
}

// A line of a sealed file is made when it is written: all of them may be more
// than fits into memory.
type line func() ([]byte, error)

// encoded is the line that holds v.
func encoded[T any](v T) line {
	return func() ([]byte, error) { return codec.Encode(v) }
}

// sealed returns a function for publish that writes the lines under a seal.
func sealed(kind string, lines ...line) func(*os.File) error {
	return func(f *os.File) error {
		s := seal{Snapmerge: kind, Version: version, SHA256: make([]string, len(lines))}
		for i := range s.SHA256 {
			s.SHA256[i] = sum(nil) // to keep the room: those of the lines are as long
		}
		head, err := json.Marshal(s)
		if err == nil {
			_, err = f.Write(append(head, '\n'))
		}
		for i, l := range lines {
			if err != nil {
				return err
			}
			var data []byte
			if data, err = l(); err == nil {
				s.SHA256[i] = sum(data)
				_, err = f.Write(append(data, '\n'))
			}
		}
		if err != nil {
			return err
		}
		if head, err = json.Marshal(s); err == nil {
			_, err = f.WriteAt(head, 0)
		}
		return err
	}
}

// unseal reads the lines that follow the seal, n of them or, if n is negative,
// all to the end of the file, and calls read for each.
func unseal(r *bufio.Reader, kind string, n int, read func(i int, line []byte) error) error {
	head, err := readLine(r)
	if err != nil {
		return err
	}
	var s seal
	if err := json.Unmarshal(head, &s); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := checkVersion(s.Snapmerge, kind, s.Version); err != nil {
		return err
	}
	all := n < 0
	if all {
		n = len(s.SHA256)
	}
	for i := range n {
		l, err := readLine(r)
		if err != nil {
			return err
		}
		if i >= len(s.SHA256) || sum(l) != s.SHA256[i] {
			return fmt.Errorf("%w: wrong checksum", ErrDamaged)
		}
		if err := read(i, l); err != nil {
			return err
		}
	}
	if !all {
		return nil
	}
	if _, err := r.Peek(1); err != io.EOF {
		return asDamage(cmp.Or(err, errors.New("there is more than the seal says")))
	}
	return nil
}

// unsealOne reads a file whose one line is a value.
func unsealOne[T any](r io.Reader, kind string, v *T) error {
	return unseal(bufio.NewReader(r), kind, 1, func(_ int, line []byte) error { return asDamage(codec.Decode(line, v)) })
}

func checkVersion(got, want string, v int) error {
	switch {
	case got != want || v < 1:
		return fmt.Errorf("%w: not a %s", ErrDamaged, want)
	case v > version:
		return fmt.Errorf("version %d: %w", v, ErrVersion)
	}
	return nil
}

// readLine returns the next line without its newline.
func readLine(r *bufio.Reader) ([]byte, error) {
	l, err := r.ReadBytes('\n')
	if err == io.EOF {
		return nil, fmt.Errorf("%w: ends too early", ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	return l[:len(l)-1], nil
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

func asDamage(err error) error {
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// isGone tells whether the error says that the file does not exist.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

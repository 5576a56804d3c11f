package reflink

import (
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrExist is returned, wrapped, by [Place], [Rename] and [Link] when the target
// name is taken. A source that is gone is an [fs.ErrNotExist]. The errno itself
// can be asked for too, with errors.Is(err, unix.ENOSPC).
var ErrExist = fs.ErrExist

// Rename gives fromDir/from the name toDir/to if that is free, by
// renameat2(RENAME_NOREPLACE): otherwise it is [ErrExist], even where both
// names are links of one file (a plain rename(2) would do nothing and report
// success). It works on directories too. Between subvolumes it is EXDEV.
func Rename(fromDir *os.File, from string, toDir *os.File, to string) error {
	err := checkNames(from, to)
	if err == nil {
		err = unix.Renameat2(int(fromDir.Fd()), from, int(toDir.Fd()), to, unix.RENAME_NOREPLACE)
	}
	if err != nil {
		return fmt.Errorf("rename %q to %q: %w", from, to, err)
	}
	return nil
}

// Link makes toDir/to a further name of the file fromDir/from, if it is free.
// A symlink in its place is not followed, but linked itself: the caller checks
// what from is, and loses nothing if it is swapped in between. Between
// subvolumes it is EXDEV.
func Link(fromDir *os.File, from string, toDir *os.File, to string) error {
	err := checkNames(from, to)
	if err == nil {
		err = unix.Linkat(int(fromDir.Fd()), from, int(toDir.Fd()), to, 0)
	}
	if err != nil {
		return fmt.Errorf("link %q to %q: %w", from, to, err)
	}
	return nil
}

// Syncfs makes everything done before on the file system of f durable. It is a
// point of durability, not a transaction: a power cut before its return may
// leave any prefix of it. f must be open for reading, not with O_PATH.
func Syncfs(f *os.File) error {
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("syncfs %q: %w", f.Name(), err)
	}
	return nil
}

func checkNames(from, to string) error {
	if err := checkName(from); err != nil {
		return err
	}
	return checkName(to)
}

// checkName refuses what would lead out of the directory handle. A longer name
// than NAME_MAX is the kernel's business (ENAMETOOLONG).
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q is no file name: %w", name, unix.EINVAL)
	}
	return nil
}

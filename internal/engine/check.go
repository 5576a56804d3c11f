package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"snapmerge/internal/config"
	"snapmerge/snapshot"
)

// A Problem is something that a sync would fail on, and how to mend it.
type Problem struct {
	Subject string // what it is about: a path
	Err     error
	Mend    string // commands or a sentence, "" where there is nothing to advise
}

func (p *Problem) Error() string { return fmt.Sprintf("%s: %v", p.Subject, p.Err) }
func (p *Problem) Unwrap() error { return p.Err }

// CheckStores looks at what a sync of the mailbox needs and returns every
// problem, joined: each is a [*Problem]. thorough looks also for what lists two
// levels of a mailbox.
func CheckStores(mb config.Mailbox, thorough bool) error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, &Problem{"snapmerge", errors.New("not run as root"), "snapshots need it: use sudo"})
	}
	for _, s := range []struct {
		side  string
		store config.Store
	}{{"offline", mb.Offline}, {"online", mb.Online}} {
		for _, err := range checkStore(s.store, thorough) {
			errs = append(errs, fmt.Errorf("mailbox %s: %s: %w", mb.Name, s.side, err))
		}
	}
	return errors.Join(errs...)
}

func checkStore(s config.Store, thorough bool) []error {
	var errs []error
	problem := func(path string, err error, mend string) {
		errs = append(errs, &Problem{path, err, mend})
	}
	if _, err := snapshot.Read(s.Path); err != nil {
		problem(s.Path, reason(err), mendStore(s.Path, err))
	} else if readOnly(s.Path) {
		problem(s.Path, unix.EROFS, "mount it read-write")
	} else if thorough {
		list, err := snapshot.Nested(s.Path)
		if err != nil {
			problem(s.Path, err, "")
		}
		for _, sub := range list {
			problem(filepath.Join(s.Path, sub), errors.New("another subvolume or file system: a snapshot of the mailbox does not contain what is in it"),
				"move its mail into a plain directory, or it out of the mailbox")
		}
	}
	st, err := os.Stat(s.Snapshots)
	switch {
	case errors.Is(err, os.ErrNotExist):
		problem(s.Snapshots, errors.New("no such directory"), fmt.Sprintf("mkdir -p -m 700 %q", s.Snapshots))
		return errs
	case err != nil:
		problem(s.Snapshots, reason(err), "")
		return errs
	case !st.IsDir():
		problem(s.Snapshots, errors.New("not a directory"), "")
		return errs
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && sys.Uid != 0 || st.Mode().Perm()&0o022 != 0 {
		problem(s.Snapshots, errors.New("others can write to it"), fmt.Sprintf("chown root: %q && chmod 700 %q", s.Snapshots, s.Snapshots))
	}
	if same, err := snapshot.SameFilesystem(s.Path, s.Snapshots); err == nil && !same {
		problem(s.Snapshots, fmt.Errorf("not on the file system of %q", s.Path),
			"a snapshot can only be on the same btrfs: choose a directory beside the mailbox")
	} else if errors.Is(err, snapshot.ErrNotBtrfs) {
		problem(s.Snapshots, snapshot.ErrNotBtrfs, "choose a directory on the mailbox's btrfs")
	}
	return errs
}

// reason is the innermost error: the outer ones only say which path it was.
func reason(err error) error {
	for _, known := range []error{snapshot.ErrNotBtrfs, snapshot.ErrNotSubvolume, os.ErrNotExist, os.ErrPermission} {
		if errors.Is(err, known) {
			return known
		}
	}
	return err
}

func mendStore(path string, err error) string {
	switch {
	case errors.Is(err, snapshot.ErrNotSubvolume):
		return fmt.Sprintf("is its disk mounted? If it is a plain directory, make it a subvolume while no mail server runs: mv %[1]q %[1]q.old && btrfs subvolume create %[1]q && "+
			"cp -a --reflink=always %[1]q.old/. %[1]q/ && chown --reference=%[1]q.old %[1]q && chmod --reference=%[1]q.old %[1]q", path)
	case errors.Is(err, snapshot.ErrNotBtrfs):
		return "the mailbox must be on a btrfs file system"
	case errors.Is(err, os.ErrNotExist):
		return "is the disk mounted, and the path right?"
	}
	return ""
}

func readOnly(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

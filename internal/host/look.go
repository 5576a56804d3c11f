package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"snapmerge/reflink"
	"snapmerge/snapshot"
)

// Settle commits what was changed in the store, for who looks without taking a
// snapshot: the generation that the kernel tells is that of the last commit, up to
// 30 s ago (btrfs(5), commit=), and a change since then would be passed over.
func (s Store) Settle() error {
	d, err := os.Open(s.Path)
	if err != nil {
		return err
	}
	defer d.Close()
	return reflink.Syncfs(d)
}

// Look implements [Host]. Where there are problems, the facts are those that can
// be had all the same.
func (l *Local) Look(_ context.Context, thorough bool) (*Facts, error) {
	f := &Facts{Problems: l.store.check(thorough)}
	var err error
	if f.Live, err = snapshot.Read(l.store.Path); err == nil {
		err = l.list(f)
	}
	if len(f.Problems) > 0 {
		return f, nil
	}
	if err == nil && thorough {
		err = l.count(f)
	}
	return f, err
}

func (l *Local) list(f *Facts) error {
	var st unix.Statfs_t
	if err := unix.Statfs(l.store.Path, &st); err != nil {
		return fmt.Errorf("statfs %q: %w", l.store.Path, err)
	}
	f.Free = st.Bavail * uint64(st.Bsize)
	list, err := snapshot.List(l.store.Snapshots)
	for _, e := range list {
		if e.Side == l.side {
			f.Snapshots = append(f.Snapshots, e)
		}
	}
	return err
}

// check looks at what a sync needs and returns every problem. thorough looks
// also for what lists two levels of a mailbox.
func (s Store) check(thorough bool) (out []Problem) {
	if os.Geteuid() != 0 {
		return []Problem{{Subject: "snapmerge", Text: "not run as root", Mend: "snapshots need it: use sudo"}}
	}
	problem := func(path string, err error, mend string) {
		out = append(out, Problem{Subject: path, Text: err.Error(), Mend: mend})
	}
	if _, err := snapshot.Read(s.Path); err != nil {
		out = append(out, Problem{Subject: s.Path, Text: reason(err).Error(), Mend: mendStore(s.Path, err), Gone: true})
	} else if readOnly(s.Path) {
		problem(s.Path, unix.EROFS, "mount it read-write")
	} else if thorough {
		list, err := s.elsewhere()
		if err != nil {
			problem(s.Path, err, "")
		}
		for _, sub := range list {
			problem(filepath.Join(s.Path, sub), errors.New("another subvolume or file system: a snapshot of the mailbox does not contain what is in it"),
				"move its mail into a plain directory, or it out of the mailbox")
		}
	}
	if s.Control != "" {
		if st, err := os.Lstat(s.Control); err != nil {
			problem(s.Control, reason(err), "control is what CONTROL= in Dovecot's mail location says for this user; Dovecot makes it when the user first logs in")
		} else if !st.IsDir() {
			problem(s.Control, errors.New("not a directory"), "")
		}
	}
	st, err := os.Stat(s.Snapshots)
	switch {
	case errors.Is(err, os.ErrNotExist):
		problem(s.Snapshots, errors.New("no such directory"), fmt.Sprintf("mkdir -p -m 700 %q", s.Snapshots))
		return out
	case err != nil:
		problem(s.Snapshots, reason(err), "")
		return out
	case !st.IsDir():
		problem(s.Snapshots, errors.New("not a directory"), "")
		return out
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
	return out
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

package engine

import (
	"golang.org/x/sys/unix"

	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// homeCopy finds where home's copy of a message can be read, now and, as the
// snapshot is kept for it, later. old is where an earlier sync found it.
func (r *run) homeCopy(message string, old *state.SnapshotFile) *state.SnapshotFile {
	if old != nil {
		return old
	}
	if fs := r.now[merge.Offline].all(message); len(fs) > 0 {
		if s, err := r.frozen[merge.Offline].file(fs[0]); err == nil {
			return &state.SnapshotFile{Snapshot: r.meta.Snapshots[merge.Offline], Path: s.path}
		}
	}
	if s, err := r.homeSource(message); s != nil && err == nil {
		return &state.SnapshotFile{Snapshot: s.in.name, Path: s.path}
	}
	return nil
}

// onlineCopy finds a message in online's snapshot, which stays until the next sync
// has looked again.
func (r *run) onlineCopy(message string) *state.SnapshotFile {
	fs := r.now[merge.Online].all(message)
	if len(fs) == 0 {
		return nil
	}
	s, err := r.frozen[merge.Online].file(fs[0])
	if err != nil {
		return nil
	}
	return &state.SnapshotFile{Snapshot: r.meta.Snapshots[merge.Online], Path: s.path}
}

// refusedCopy is where to read what was refused: a name that no Maildir reader
// accepts may still be that of a mail. Other things are never opened, also not to
// see what they are: to open a device can do something. What is empty is the
// placeholder of what was not received, or says nothing.
func (r *run) refusedCopy(ref tree.Refused) *state.SnapshotFile {
	z := r.frozen[merge.Online]
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV}
	fd, err := unix.Openat2(int(z.root.Fd()), ref.Path, &how)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size == 0 {
		return nil
	}
	return &state.SnapshotFile{Snapshot: r.meta.Snapshots[merge.Online], Path: ref.Path}
}

// headers reads what a list shows of a message. It helps a person and decides
// nothing, so a message that can not be read has none.
func (r *run) headers(at *state.SnapshotFile) (from, subject, date string) {
	if at == nil {
		return
	}
	z := r.frozen[merge.Online]
	if at.Snapshot != r.meta.Snapshots[merge.Online] {
		var err error
		if z, err = r.openOld(r.readable(merge.Offline), at.Snapshot); err != nil {
			return
		}
	}
	f, err := (&source{in: z, path: at.Path}).open()
	if err != nil {
		return
	}
	defer f.Close()
	return readHeaders(f)
}

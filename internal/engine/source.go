package engine

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"snapmerge/internal/host"
	"snapmerge/merge"
	"snapmerge/tree"
)

// source finds the file that a message is placed from: a copy that was at home
// before, if a snapshot still has one, for only that is trusted; else online's.
func (r *run) source(message string) (*source, error) {
	if s, err := r.homeSource(message); s != nil || err != nil {
		return s, err
	}
	fs := r.now[merge.Online].all(message)
	if len(fs) == 0 {
		return nil, errors.New("no snapshot has it")
	}
	return r.frozen[merge.Online].file(fs[0])
}

func (r *run) homeSource(message string) (*source, error) {
	snapshotName, path := "", ""
	if at := r.heldSource[message]; at != nil {
		snapshotName, path = at.Snapshot, at.Path
	}
	if old := r.base[merge.Offline].all(message); snapshotName == "" && len(old) > 0 {
		dir, err := r.mb.Offline.Layout.Dir(old[0].Folder)
		if err != nil {
			return nil, err
		}
		snapshotName, path = r.last.Snapshots[merge.Offline], filepath.Join(dir, old[0].Dir(), old[0].Name)
	}
	if snapshotName == "" {
		return nil, nil
	}
	z, err := r.openOld(r.readable(merge.Offline), snapshotName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &source{in: z, path: path}
	f, err := s.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	s.file = tree.File{Name: filepath.Base(path), Size: st.Size(), Mtime: st.ModTime().UnixNano()}
	return s, nil
}

// lastSource finds what both sides had after the last sync: home's file, or
// online's where that sync placed it at home, after home's snapshot was taken.
func (r *run) lastSource(message string) (*source, error) {
	if s, err := r.homeSource(message); s != nil || err != nil {
		return s, err
	}
	old := r.base[merge.Online].all(message)
	if len(old) == 0 {
		return nil, nil
	}
	z, err := r.openOld(r.readable(merge.Online), r.last.Snapshots[merge.Online])
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return z.file(old[0])
}

// openOld opens a snapshot once for the whole run.
func (r *run) openOld(s host.Store, name string) (*frozen, error) {
	if z := r.old[name]; z != nil {
		return z, nil
	}
	z, err := openFrozen(s, name)
	if err == nil {
		r.old[name] = z
	}
	return z, err
}

// safeUnique returns the unique name for a placed mail. Sizes in a name that are
// not true make Dovecot rename the file and give it a new UID, or refuse to
// show it (maildir-mail.c:do_fix_size), so the other side could do that with a
// name. They are left out then; the key stays.
func safeUnique(src *source) (string, error) {
	n, err := tree.ParseName(src.file.Name)
	if err != nil {
		return "", err
	}
	size, wire := n.Sizes()
	if size < 0 && wire < 0 {
		return n.Unique, nil
	}
	if size >= 0 && size != src.file.Size {
		return n.WithoutSizes().Unique, nil
	}
	if wire >= 0 {
		f, err := src.open()
		if err != nil {
			return "", err
		}
		defer f.Close()
		bare, err := bareNewlines(f)
		if err != nil {
			return "", err
		}
		if wire != src.file.Size+bare {
			return n.WithoutSizes().Unique, nil
		}
	}
	return n.Unique, nil
}

// bareNewlines counts the line feeds without a carriage return: IMAP sends each
// with one.
func bareNewlines(f io.Reader) (n int64, err error) {
	r := bufio.NewReaderSize(f, 64<<10)
	last := byte(0)
	for {
		if _, err := r.Peek(1); err == io.EOF {
			return n, nil
		} else if err != nil {
			return n, err
		}
		chunk, _ := r.Peek(r.Buffered())
		s := string(chunk)
		n += int64(strings.Count(s, "\n") - strings.Count(s, "\r\n"))
		if last == '\r' && s[0] == '\n' {
			n--
		}
		last = s[len(s)-1]
		if _, err := r.Discard(len(s)); err != nil {
			return n, err
		}
	}
}

package tree

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// A folderScan is what one folder holds.
type folderScan struct {
	store
	layout  Layout
	found   found
	folder  Folder
	files   []File
	refused refusals
}

func (s *scanner) scanOf(f found) *folderScan {
	return &folderScan{store: s.store, layout: s.layout, found: f, folder: Folder{Name: f.name}}
}

func (r *folderScan) read() error {
	d, err := r.readFolder()
	if err != nil {
		return err
	}
	defer d.Close()
	for _, isNew := range []bool{false, true} {
		if err := r.readFiles(d, isNew); err != nil {
			return err
		}
	}
	return nil
}

// readFolder reads what a Folder tells, and returns the open directory.
func (r *folderScan) readFolder() (*os.File, error) {
	d, err := r.openDir(r.found.dir)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(d.Fd()), &st); err != nil {
		d.Close()
		return nil, fmt.Errorf("stat %q: %w", r.found.dir, err)
	}
	r.folder = Folder{Name: r.found.name, Ino: st.Ino}
	if err := r.readKeywords(d); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// readKeywords reads the folder's table. One that is no regular file is not
// opened: opening a FIFO would wait for its writer.
func (r *folderScan) readKeywords(d *os.File) error {
	table := r.layout.Keywords()
	name := path.Join(d.Name(), table)
	st, err := lstat(d, table)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		r.refused.add(name, fileType(st.Mode))
		return nil
	}
	why, err := placeholder(d, table, st.Mode)
	if err != nil {
		return err
	}
	if why != "" {
		r.refused.add(name, why)
		return nil
	}
	f, err := r.open(name, unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer f.Close()
	if st.Size > maxKeywordFile {
		r.refused.add(name, "too long for a table of keywords")
		return nil
	}
	if r.folder.Keywords, err = ParseKeywords(f); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	return nil
}

// mailDir returns the path and the inode number of cur/ or new/ of the folder d;
// the number is 0 if there is none to be read.
func (r *folderScan) mailDir(d *os.File, isNew bool) (dir string, ino uint64, err error) {
	sub := File{New: isNew}.Dir()
	dir = path.Join(d.Name(), sub)
	ino, why, err := r.dirIno(d, sub)
	if why != "" {
		r.refused.add(dir, why)
	}
	return dir, ino, err
}

// readFiles reads cur/ or new/ of the folder d.
func (r *folderScan) readFiles(d *os.File, isNew bool) error {
	dir, ino, err := r.mailDir(d, isNew)
	if err != nil || ino == 0 {
		return err
	}
	m, err := r.openDir(dir)
	if err != nil {
		return err
	}
	defer m.Close()
	return r.readNames(m, isNew)
}

// readNames reads the files of m, which is cur/ or new/ of the folder.
func (r *folderScan) readNames(m *os.File, isNew bool) error {
	names, err := m.Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("read %q: %w", m.Name(), err)
	}
	for _, name := range names {
		if _, err := r.readName(m, isNew, name); err != nil {
			return err
		}
	}
	return nil
}

// readName reads one entry of m. It returns the number of the inode's names, 0
// if this is no mail.
func (r *folderScan) readName(m *os.File, isNew bool, name string) (links int, err error) {
	if passedOver(name) {
		return 0, nil
	}
	st, err := lstat(m, name)
	if err != nil {
		return 0, err
	}
	if ok, err := r.add(m.Name(), isNew, name, &st); !ok || err != nil {
		return 0, err
	}
	return int(st.Nlink), nil
}

// passedOver: names with a leading dot are neither mail nor refused (maildir(5)).
func passedOver(name string) bool { return strings.HasPrefix(name, ".") }

// add takes in one entry of the directory dir, which is cur/ or new/ of the
// folder, and returns whether it is mail.
func (r *folderScan) add(dir string, isNew bool, name string, st *unix.Stat_t) (ok bool, err error) {
	why := nameFault(name)
	if why == "" && st.Mode&unix.S_IFMT != unix.S_IFREG {
		why = fileType(st.Mode)
	}
	if why == "" {
		if why, err = placeholder(r.root, dir+"/"+name, st.Mode); err != nil {
			return false, err
		}
	}
	if why != "" {
		r.refused.add(path.Join(dir, name), why)
		return false, nil
	}
	ctime := st.Ctim
	if r.layout.Mirror {
		ctime = st.Atim
	}
	r.files = append(r.files, File{
		Folder: r.folder.Name, New: isNew, Name: name, Ino: st.Ino, Size: st.Size,
		Mtime: nanoseconds(st.Mtim), Ctime: nanoseconds(ctime),
	})
	return true, nil
}

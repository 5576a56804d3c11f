package tree

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A MailDir is cur/ or new/ of a folder, if it is a directory that is read.
type MailDir struct {
	Folder string // logical name
	New    bool
	Ino    uint64
}

// A Builder makes the Tree that [Scan] returns for who can read the entries of
// all cur/ and new/ faster than by a stat of each. It finds the folders and reads
// their tables of keywords itself, as Scan does, and decides what is mail.
type Builder struct {
	scanner
	folders []*folderScan
	dirs    []MailDir
	paths   []string // of dirs
	owners  []*folderScan
}

// NewBuilder looks at the folders of the store below root, a directory handle of a
// read-only snapshot, which it only reads and does not close.
func NewBuilder(root *os.File, l Layout) (*Builder, error) {
	st, err := openStore(root)
	if err != nil {
		return nil, fmt.Errorf("look at folders: %w", err)
	}
	b := &Builder{scanner: scanner{store: st, layout: l}}
	if err := b.lookAll(); err != nil {
		return nil, fmt.Errorf("look at folders: %w", err)
	}
	return b, nil
}

func (b *Builder) lookAll() error {
	if err := b.findFolders(); err != nil {
		return err
	}
	for _, f := range b.found {
		if err := b.look(b.scanOf(f)); err != nil {
			return err
		}
	}
	return nil
}

func (b *Builder) look(r *folderScan) error {
	d, err := r.readFolder()
	if err != nil {
		return err
	}
	defer d.Close()
	b.folders = append(b.folders, r)
	for _, isNew := range []bool{false, true} {
		dir, ino, err := r.mailDir(d, isNew)
		if err != nil {
			return err
		}
		if ino != 0 {
			b.dirs = append(b.dirs, MailDir{r.folder.Name, isNew, ino})
			b.paths = append(b.paths, dir)
			b.owners = append(b.owners, r)
		}
	}
	return nil
}

// Dirs returns the directories whose entries are to be added, in no order. It is
// not to be changed.
func (b *Builder) Dirs() []MailDir { return b.dirs }

// Add takes in an entry of the directory Dirs()[dir]: every one of it is to be
// added once, also what is no mail. Of st it looks at Ino, Mode, Size and the
// three times.
func (b *Builder) Add(dir int, name string, st *unix.Stat_t) error {
	if passedOver(name) {
		return nil
	}
	_, err := b.owners[dir].add(b.paths[dir], b.dirs[dir].New, name, st)
	return err
}

// Tree returns the Tree. The Builder is of no use any more.
func (b *Builder) Tree() *Tree { return b.tree(b.folders) }

package stream

import (
	"fmt"

	"snapmerge/tree"
)

// A walk goes through what the stream named when no directory seems to have
// moved, and finds the folders' cur/ and new/ in it.
type walk struct {
	*differ
	moved bool // a folder has come or gone all the same
}

// directory looks at a directory at that path, "" for the root, and what is below.
//
// A nested subvolume is not sent, but an empty directory stands for it in a
// snapshot, and it can stand where a cur/ would make a folder. Its coming and
// going shows by the times of the directory that holds it, so a folder that
// was touched is looked at.
func (w *walk) directory(n *node, path string) error {
	if err := bounded(path); err != nil {
		return err
	}
	dir := path
	if dir == "" {
		dir = "."
	}
	if name, err := w.layout.Folder(dir); err == nil {
		if err := w.folder(n, name); err != nil || w.moved {
			return err
		}
	}
	for name, kid := range n.kids {
		if kid == nil || kid.inode.kind == file {
			continue
		}
		if err := w.directory(kid, join(path, name)); err != nil || w.moved {
			return err
		}
	}
	return nil
}

func (w *walk) folder(n *node, name string) error {
	old, ok, err := w.known.Folder(name)
	if err != nil {
		return err
	}
	_, named := n.kids[w.layout.Keywords()]
	if n.inode.touched || named {
		f, isNow, err := w.now.Folder(name)
		switch {
		case err != nil:
			return err
		case ok != isNow || ok && f.Ino != old.Ino:
			w.moved = true
			return nil
		case ok:
			w.before.Folders = append(w.before.Folders, old)
			w.after.Folders = append(w.after.Folders, f)
		}
	}
	if !ok {
		return nil
	}
	for _, isNew := range []bool{false, true} {
		if m := n.kids[tree.File{New: isNew}.Dir()]; m != nil {
			w.pair(mailDir{name, isNew}, name, m)
		}
	}
	return nil
}

// allFolders compares all folders, and pairs their cur/ and new/ where they are
// the same directories. The others are listed, each side for itself.
func (d *differ) allFolders() error {
	var err error
	if d.before.Folders, err = d.known.Folders(); err != nil {
		return err
	}
	if d.after.Folders, err = d.now.Folders(); err != nil {
		return err
	}
	byIno := make(map[uint64]string, len(d.before.Folders))
	for _, f := range d.before.Folders {
		byIno[f.Ino] = f.Name
	}
	for _, f := range d.after.Folders {
		for _, isNew := range []bool{false, true} {
			was, ok := byIno[f.Ino]
			if ok {
				ok, err = d.pairIfSame(mailDir{was, isNew}, f.Name)
			}
			if err == nil && !ok {
				err = d.listNow(f.Name, isNew)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, f := range d.before.Folders {
		if err := d.listBefore(f.Name); err != nil {
			return err
		}
	}
	return nil
}

// pairIfSame pairs a folder's cur/ or new/ of the base with that of the folder
// named to now, if it is the same directory.
func (d *differ) pairIfSame(m mailDir, to string) (bool, error) {
	before, err := m.path(d.layout)
	if err != nil {
		return false, fmt.Errorf("folder of the base: %w", err)
	}
	after, err := pathOf(d.layout, to, m.isNew)
	if err != nil {
		return false, err
	}
	was, n, ok := d.track.origin(after)
	if !ok || was != before {
		return false, nil
	}
	d.pair(m, to, n)
	return true, nil
}

func (d *differ) listNow(folder string, isNew bool) error {
	files, err := d.now.Files(folder, isNew)
	d.after.Files = append(d.after.Files, files...)
	d.stats.Listed += len(files)
	return err
}

// listBefore lists what the base has in a folder's cur/ and new/, but for those
// that are paired.
func (d *differ) listBefore(folder string) error {
	paired := func(isNew bool) bool { return d.pairs[mailDir{folder, isNew}] != nil }
	if paired(false) && paired(true) {
		return nil
	}
	files, err := d.known.FilesIn(folder)
	for _, f := range files {
		if !paired(f.New) {
			d.before.Files = append(d.before.Files, f)
			d.stats.Listed++
		}
	}
	return err
}

// bounded refuses directories that are nested deeper than a path can tell. No
// command has such a path, but directories can be moved into each other without
// end, and a walk keeps the path of each.
func bounded(path string) error {
	if len(path) >= pathMax {
		return fmt.Errorf("path of %d bytes", len(path))
	}
	return nil
}

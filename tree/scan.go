package tree

import (
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// maxRefused bounds Tree.Refused: a report of more helps nobody.
const maxRefused = 10_000

// Scan reads the store below root, a directory handle of a read-only snapshot:
// cur/ and new/ of every folder, never tmp/. It costs one stat a mail.
//
// A folder is a directory with a cur/ and a name that the layout knows; on
// Maildir++ a bare directory is one too, as Dovecot opens it. INBOX is there if
// the root has cur/, new/ or tmp/: an empty subvolume is an empty tree.
//
// What can not be mail is in Tree.Refused: names that ParseName or Layout.Folder
// refuses, everything that is neither a regular file nor a directory, symbolic
// links and other file systems in the place of a folder, of cur/ or of new/; and
// placeholders (see [RefusedXattr]) in any place where an entry is looked at.
// Mail behind such an entry is not in the tree although nobody deleted it.
// Names with a leading dot are no mail and are passed over (maildir(5)).
//
// One inode can be two Files, also under one unique name in new/ and cur/ of a
// folder: a snapshot can catch a move half-way, and Dovecot's COPY is a link.
//
// The handle is only read. An error means that the store could not be read in
// full, and there is no tree then.
func Scan(root *os.File, l Layout) (*Tree, error) {
	st, err := openStore(root)
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	s := &scanner{store: st, layout: l}
	if err := s.findFolders(); err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	t, err := s.readFolders()
	if err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	return t, nil
}

type scanner struct {
	store
	layout  Layout
	found   []found
	refused refusals
}

// A found is a folder's logical name and its directory below the root.
type found struct{ name, dir string }

// findFolders walks the directories that can be folders. It holds one handle at
// a time and no path is longer than maxDir, so a deep tree exhausts nothing.
func (s *scanner) findFolders() error {
	for todo := []string{"."}; len(todo) > 0; {
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		d, err := s.openDir(dir)
		if err != nil {
			return err
		}
		below, err := s.findIn(d, dir)
		d.Close()
		if err != nil {
			return err
		}
		todo = append(todo, below...)
	}
	return nil
}

// findIn looks at the entries of one directory and returns those to go into.
func (s *scanner) findIn(d *os.File, dir string) (below []string, err error) {
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", dir, err)
	}
	if dir == "." {
		if err := s.findInbox(d); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if isMaildirDir(name) || s.layout.ignores(name) {
			continue
		}
		isDir, err := s.find(d, path.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if isDir && s.layout.FS {
			below = append(below, path.Join(dir, name))
		}
	}
	return below, nil
}

// findInbox takes the root for a folder if any of its three directories is one.
// It still reports a link in the place of cur/ or new/ if none is.
func (s *scanner) findInbox(d *os.File) error {
	var is bool
	for _, name := range []string{"cur", "new", "tmp"} {
		ok, why, err := s.isDir(d, name)
		if err != nil {
			return err
		}
		is = is || ok || why != ""
	}
	if is {
		s.found = append(s.found, found{Inbox, "."})
	}
	return nil
}

// find decides whether the entry of d that is dir, seen from the root, is a
// folder. It returns whether folders can be below it.
func (s *scanner) find(d *os.File, dir string) (isDir bool, err error) {
	name, nameErr := s.layout.Folder(dir)
	isDir, why, err := s.isDir(d, path.Base(dir))
	if err != nil {
		return false, err
	}
	if !isDir {
		// .dovecot.sieve and its like are often links, and no folders.
		if why != "" && nameErr == nil && !strings.HasPrefix(dir, ".dovecot.") {
			s.refused.add(dir, why)
		}
		return false, nil
	}
	if len(dir) > maxDir {
		s.refused.add(dir, nameErr.Error())
		return false, nil
	}
	sub, err := s.openDir(dir)
	if err != nil {
		return false, err
	}
	defer sub.Close()
	hasCur, why, err := s.isDir(sub, "cur")
	switch {
	case err != nil:
		return false, err
	case nameErr != nil && (hasCur || why != ""):
		s.refused.add(dir, nameErr.Error())
	case nameErr == nil && (hasCur || why != "" || !s.layout.FS):
		s.found = append(s.found, found{name, dir})
	}
	return true, nil
}

// readFolders reads the folders that were found, a few at a time: looking up
// the mails of a fresh snapshot costs CPU time, not only reads, and two threads
// of three quarters.
func (s *scanner) readFolders() (*Tree, error) {
	results := make([]*folderScan, len(s.found))
	errs := make([]error, len(s.found))
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range min(4, runtime.GOMAXPROCS(0), len(s.found)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(results)) && !failed.Load(); i = next.Add(1) - 1 {
				results[i] = s.scanOf(s.found[i])
				if errs[i] = results[i].read(); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return s.tree(results), nil
}

// tree puts the folders' scans together.
func (s *scanner) tree(results []*folderScan) *Tree {
	t := &Tree{}
	n := 0
	for _, r := range results {
		n += len(r.files)
	}
	t.Files = slices.Grow(t.Files, n)
	slices.SortFunc(results, func(a, b *folderScan) int { return strings.Compare(a.folder.Name, b.folder.Name) })
	for _, r := range results {
		// Sorted folder by folder: most comparisons need not look at its name.
		slices.SortFunc(r.files, File.Compare)
		t.Folders = append(t.Folders, r.folder)
		t.Files = append(t.Files, r.files...)
		s.refused.list = append(s.refused.list, r.refused.list...)
		s.refused.more += r.refused.more
		r.files = nil
	}
	t.Refused = s.refused.list
	t.Sort()
	kept := min(len(t.Refused), maxRefused)
	t.RefusedMore = s.refused.more + len(t.Refused) - kept
	t.Refused = t.Refused[:kept:kept]
	return t
}

// refusals collects refused entries, and only counts them when there are many.
type refusals struct {
	list []Refused
	more int
}

func (r *refusals) add(path, why string) {
	if len(r.list) == maxRefused {
		r.more++
		return
	}
	r.list = append(r.list, Refused{Path: path, Why: why})
}

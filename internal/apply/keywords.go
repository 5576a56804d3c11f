package apply

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/tree"
)

const keywordsName = "dovecot-keywords"

// A keywordFile is a folder's dovecot-keywords as read under the lock: nobody
// else writes it meanwhile (maildir-keywords.c relies on the same lock;
// dovecot-keywords.lock is none, Dovecot removes it unasked).
type keywordFile struct {
	tree.KeywordFile
	old   *unix.Stat_t    // nil: there is no such file
	alien bool            // not ours to read or replace: no regular file, or too long
	tried map[string]bool // names that extend was asked for
}

// letters returns the letters for the operation's keywords. Names without one
// get it now, together with those that the operations after it will need in this
// folder: Dovecot does not see a file that is replaced twice within a second of
// mtime (maildir_keywords_sync).
func (r *runner) letters(i int, f *folder) (l tree.Letters, missing []string, err error) {
	names := r.ops[i].To.Keywords
	if len(names) == 0 {
		return 0, nil, nil
	}
	if f.keywords == nil {
		if f.keywords, err = readKeywords(f.control); err != nil {
			return 0, nil, err
		}
	}
	k := f.keywords
	unknown := func(name string) bool {
		_, ok := k.Letter(name)
		return !ok && !k.tried[name]
	}
	if !k.alien && slices.ContainsFunc(names, unknown) {
		if err := r.store.extend(f, r.upcoming(i, f.name)); err != nil {
			return 0, nil, err
		}
	}
	for _, name := range names {
		if n, ok := k.Letter(name); ok {
			l |= 1 << n
		} else {
			missing = append(missing, name)
		}
	}
	return l, missing, nil
}

// upcoming returns the keywords of operation i and of those that follow it with
// the same target folder.
func (r *runner) upcoming(i int, folder string) (names []string) {
	for _, op := range r.ops[i:] {
		if op.To.Folder != folder {
			break
		}
		names = append(names, op.To.Keywords...)
	}
	return names
}

// readKeywords reads the file. What is no regular file has no names for us, as
// for the scan of a snapshot, so letters of this folder travel as unnamed ones.
func readKeywords(dir *os.File) (*keywordFile, error) {
	k := &keywordFile{}
	f, err := beneath(dir, keywordsName, unix.O_RDONLY|unix.O_NONBLOCK)
	switch {
	case errors.Is(err, unix.ENOENT):
		return k, nil
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENXIO):
		k.alien = true // a symlink; a socket
		return k, nil
	case err != nil:
		return nil, err
	}
	defer f.Close()
	st, err := fstat(f)
	if err != nil {
		return nil, err
	}
	k.old = &st
	if !isRegular(st) {
		k.alien = true
		return k, nil
	}
	if k.KeywordFile, err = tree.ReadKeywordFile(f); hopeless(err) {
		return nil, err
	}
	k.alien = err != nil
	return k, nil
}

// extend gives letters to those names that have none, as far as there are any,
// and replaces dovecot-keywords. The mail that needs them is renamed afterwards:
// after a crash in between a name too many is there, never a letter without one.
func (s *Store) extend(f *folder, names []string) error {
	k := f.keywords
	file, err := reserve(k.KeywordFile, f)
	if err != nil {
		return err
	}
	if k.tried == nil {
		k.tried = map[string]bool{}
	}
	for _, name := range names {
		k.tried[name] = true
		// Full, or no keyword that a client can have: the caller finds no letter.
		_, _ = file.Add(name)
	}
	if bytes.Equal(file.Bytes(), k.Bytes()) {
		return nil
	}
	st, err := s.replaceKeywords(f, file.Bytes())
	if err != nil {
		return fmt.Errorf("extend %q: %w", keywordsName, err)
	}
	k.KeywordFile, k.old = file, &st
	return nil
}

// reserve notes letters that mail of the folder carries but the file does not
// know, in the way Dovecot does when it meets them: as "unknown-3"
// (maildir_keywords_char_idx). Else a new name would take such a letter, and all
// that mail would have the keyword.
func reserve(file tree.KeywordFile, f *folder) (tree.KeywordFile, error) {
	var used tree.Letters
	for _, dir := range []*os.File{f.cur, f.new} {
		names, err := list(dir)
		if err != nil {
			return file, err
		}
		for _, name := range names {
			if n, err := tree.ParseName(name); err == nil {
				used |= n.Letters
			}
		}
	}
	var b []byte
	for i := range 26 {
		if used&(1<<i) != 0 {
			b = fmt.Appendf(b, "%d unknown-%d\n", i, i)
		}
	}
	// The file's own lines come last: of two for one letter the later counts.
	return tree.ReadKeywordFile(bytes.NewReader(append(b, file.Bytes()...)))
}

// replaceKeywords writes the file beside and renames it over the old one, as
// Dovecot does.
func (s *Store) replaceKeywords(f *folder, content []byte) (st unix.Stat_t, err error) {
	if f.control != f.dir {
		return s.replaceControl(f, content)
	}
	return s.replace(f.dir, keywordsName, content, f.keywords.old)
}

// replace writes a file in the store's tmp/ and renames it over that of the name
// in a mail folder's directory.
func (s *Store) replace(dir *os.File, name string, content []byte, old *unix.Stat_t) (st unix.Stat_t, err error) {
	tmp, err := s.temp()
	if err != nil {
		return st, err
	}
	defer tmp.Close()
	return publish(tmp, s.tempName(), dir, name, content, old, s.now())
}

// publish writes content under the name temp of one directory, and renames it to
// its name in another of the same file system.
func publish(tmp *os.File, temp string, dir *os.File, name string, content []byte, old *unix.Stat_t, now time.Time) (st unix.Stat_t, err error) {
	n, err := nameless(tmp, dir, 0o666)
	if err != nil {
		return st, err
	}
	defer n.Close()
	if err := fillKeywords(n, content, old, now); err != nil {
		return st, err
	}
	if err := linkNameless(n, tmp, temp); err != nil {
		return st, err
	}
	if err := unix.Renameat(int(tmp.Fd()), temp, int(dir.Fd()), name); err != nil {
		return st, errors.Join(err, remove(tmp, temp, 0))
	}
	return fstat(n)
}

// fillKeywords writes the content, with owner and mode of the old file and an
// mtime later than its by a second at least, for Dovecot reads the file again
// only if the seconds differ. Data is not ordered with a later rename, so fsync.
func fillKeywords(f *os.File, content []byte, old *unix.Stat_t, now time.Time) error {
	if _, err := f.Write(content); err != nil {
		return err
	}
	mtime := now.Unix()
	if old != nil {
		if err := unix.Fchown(int(f.Fd()), int(old.Uid), int(old.Gid)); err != nil {
			return err
		}
		if err := unix.Fchmod(int(f.Fd()), old.Mode&0o666); err != nil {
			return err
		}
		mtime = max(mtime, old.Mtim.Sec+1)
	}
	if err := touch(f, unix.Timespec{Sec: mtime}); err != nil {
		return err
	}
	return f.Sync()
}

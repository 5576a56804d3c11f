// Package enginetest checks whole syncs from outside: it plays two mail clients
// on two Maildirs on a real btrfs, lets the engine sync them, and compares what
// is on disk then with what a second, independent reading of the merge table says.
//
// Nothing here uses the code that it checks: names, folders, keywords and the
// merge are read and decided once more, for messages that are known because
// this package made them.
//
// Where the table does not say what becomes of a mail, the oracle says so (odd),
// and the clients leave such things undone: several placements of one mail moved
// at once on one side, a placement moved to where the other side has copied it,
// a mail that comes back on one side while it goes on the other. Nor do they
// make two files of a mail in one folder, two mails under one name, letters
// without a name, or more than 26 keywords; nobody changes a mail while a sync
// runs, and neither store is replaced by another. Other tests do that.
package enginetest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"snapmerge/merge"
)

// keywordNames are the keywords that the clients use.
var keywordNames = []string{"$Forwarded", "todo", "Zeta", "$Junk"}

// attrs are a mail's flags and keywords: bit i is the letter 'A'+i, bit 26+i is
// keywordNames[i]. To the merge a flag and a keyword are alike.
type attrs uint32

const (
	flagged   = attrs(1) << ('F' - 'A')
	seen      = attrs(1) << ('S' - 'A')
	deleted   = attrs(1) << ('T' - 'A')
	firstWord = 26
)

func (a attrs) String() string {
	var s []string
	for i := range firstWord + len(keywordNames) {
		if a&(1<<i) == 0 {
			continue
		}
		if i < firstWord {
			s = append(s, string(rune('A'+i)))
		} else {
			s = append(s, keywordNames[i-firstWord])
		}
	}
	return strings.Join(s, "+")
}

// A store is one side's Maildir.
type store struct {
	root      string
	snapshots string
	fs        bool // folders as nested directories, else Maildir++
}

const umlaut = "Entwürfe"

var toDisk = strings.NewReplacer(umlaut, "Entw&APw-rfe") // modified UTF-7
var fromDisk = strings.NewReplacer("Entw&APw-rfe", umlaut)

// path returns a folder's directory.
func (s store) path(folder string) string {
	folder = toDisk.Replace(folder)
	switch {
	case folder == "INBOX":
		return s.root
	case s.fs:
		return filepath.Join(s.root, folder)
	}
	return filepath.Join(s.root, "."+strings.ReplaceAll(folder, "/", "."))
}

// A file is one mail file on disk.
type file struct {
	folder string
	fresh  bool // in new/
	name   string
	ino    uint64
	size   int64
	mtime  int64 // nanoseconds
	ctime  int64
	uid    uint32
	attrs  attrs
	mail   int // whose it is
}

func (f file) unique() string { u, _, _ := strings.Cut(f.name, ":"); return u }

func (f file) sub() string {
	if f.fresh {
		return "new"
	}
	return "cur"
}

// A shelf is a store as it is on disk.
type shelf struct {
	files   []file                // by folder and name
	folders map[string][26]string // folder → keyword of each letter
}

// read reads a store. It knows the mails by inode, and those that came by
// themselves by their content.
func (w *world) read(side merge.Side) shelf {
	w.t.Helper()
	s := w.stores[side]
	sh := shelf{folders: map[string][26]string{}}
	for _, folder := range s.list() {
		words := readKeywords(s.path(folder))
		sh.folders[folder] = words
		for _, sub := range []string{"cur", "new"} {
			dir := filepath.Join(s.path(folder), sub)
			entries, err := os.ReadDir(dir)
			w.must(err)
			for _, e := range entries {
				f := w.stat(filepath.Join(dir, e.Name()))
				f.folder, f.fresh, f.name = folder, sub == "new", e.Name()
				f.attrs = readInfo(f.name, words)
				f.mail = w.identify(side, filepath.Join(dir, e.Name()), f)
				sh.files = append(sh.files, f)
			}
		}
	}
	return sh
}

func (w *world) stat(path string) file {
	w.t.Helper()
	var st syscall.Stat_t
	w.must(syscall.Lstat(path, &st))
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		w.t.Fatalf("%s is no regular file", path)
	}
	return file{ino: st.Ino, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(), uid: st.Uid}
}

func (w *world) identify(side merge.Side, path string, f file) int {
	if id, ok := w.owner[side][f.ino]; ok {
		return id
	}
	body, err := os.ReadFile(path)
	w.must(err)
	id, ok := w.byContent[sum(body)]
	if !ok {
		w.t.Fatalf("%s: %s holds what nobody wrote", side, path)
	}
	w.owner[side][f.ino] = id
	return id
}

// list returns the folders, sorted: the directories with a cur/.
func (s store) list() []string {
	var out []string
	filepath.WalkDir(s.root, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(s.root, path)
		switch {
		case filepath.Base(rel) == "cur" || filepath.Base(rel) == "new" || filepath.Base(rel) == "tmp":
			return filepath.SkipDir
		case rel == ".":
			out = append(out, "INBOX")
			return nil
		}
		if _, err := os.Stat(filepath.Join(path, "cur")); err == nil {
			if !s.fs {
				rel = strings.ReplaceAll(rel[1:], ".", "/")
			}
			out = append(out, fromDisk.Replace(rel))
		}
		return nil
	})
	slices.Sort(out)
	return out
}

// readKeywords reads dovecot-keywords.
func readKeywords(dir string) (words [26]string) {
	data, _ := os.ReadFile(filepath.Join(dir, "dovecot-keywords"))
	for line := range strings.Lines(string(data)) {
		var i int
		var name string
		if n, _ := fmt.Sscanf(line, "%d %s", &i, &name); n == 2 && i < 26 {
			words[i] = name
		}
	}
	return words
}

// readInfo reads what follows ":2," of a file name.
func readInfo(name string, words [26]string) (a attrs) {
	_, letters, _ := strings.Cut(name, ":2,")
	for _, c := range letters {
		switch {
		case 'A' <= c && c <= 'Z':
			a |= 1 << (c - 'A')
		case 'a' <= c && c <= 'z':
			if i := slices.Index(keywordNames, words[c-'a']); i >= 0 {
				a |= 1 << (firstWord + i)
			}
		}
	}
	return a
}

// info returns what follows the unique part of a name in that folder. A keyword
// without a letter gets a random one that is free, so that the two sides' tables
// are never the same.
func (w *world) info(side merge.Side, folder string, a attrs) string {
	w.t.Helper()
	words := readKeywords(w.stores[side].path(folder))
	var letters []byte
	for i, name := range keywordNames {
		if a&(1<<(firstWord+i)) == 0 {
			continue
		}
		at := slices.Index(words[:], name)
		for at < 0 {
			if n := w.rng.IntN(26); words[n] == "" {
				words[n], at = name, n
				w.writeKeywords(side, folder, words)
			}
		}
		letters = append(letters, byte('a'+at))
	}
	slices.Sort(letters)
	var flags []byte
	for i := range firstWord {
		if a&(1<<i) != 0 {
			flags = append(flags, byte('A'+i))
		}
	}
	return ":2," + string(flags) + string(letters)
}

func (w *world) writeKeywords(side merge.Side, folder string, words [26]string) {
	var b strings.Builder
	for i, name := range words {
		if name != "" {
			fmt.Fprintf(&b, "%d %s\n", i, name)
		}
	}
	path := filepath.Join(w.stores[side].path(folder), "dovecot-keywords")
	w.must(os.WriteFile(path+".tmp", []byte(b.String()), 0o600))
	w.must(os.Chown(path+".tmp", mailUID, mailUID))
	w.must(os.Rename(path+".tmp", path))
}

// placesOf returns where each mail is, as the merge sees it. Two files of one
// mail in a folder are one client's mistake that these clients do not make.
func (w *world) placesOf(sh shelf) map[int]places {
	w.t.Helper()
	out := map[int]places{}
	for _, f := range sh.files {
		if out[f.mail] == nil {
			out[f.mail] = places{}
		}
		if _, twice := out[f.mail][f.folder]; twice {
			w.t.Fatalf("mail %d is twice in %q", f.mail, f.folder)
		}
		out[f.mail][f.folder] = place{f.attrs, f.mtime, f.ctime, f.fresh}
	}
	return out
}

func sum(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }

package crashtest

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A mail is one file of a store, as a user would tell it: keywords by name, no
// letters, no inode.
type mail struct {
	Folder, Key string
	New         bool
	Flags       string
	Keywords    []string
	Received    string
	Size        int64
	SHA256      string
}

// A view is a whole store. Two files of one mail in one folder are two entries.
type view struct {
	Folders []string
	Mails   []mail
}

// look reads a store.
func look(t testing.TB, root string) view {
	t.Helper()
	v := view{Folders: []string{"INBOX"}}
	entries, err := os.ReadDir(root)
	must(t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && e.IsDir() {
			v.Folders = append(v.Folders, strings.ReplaceAll(e.Name()[1:], ".", "/"))
		}
	}
	s := store{t, root}
	for _, f := range v.Folders {
		table := keywords(s.dirOf(f))
		for _, sub := range []string{"cur", "new"} {
			files, err := os.ReadDir(filepath.Join(s.dirOf(f), sub))
			must(t, err)
			for _, e := range files {
				v.Mails = append(v.Mails, readMail(t, f, sub == "new", filepath.Join(s.dirOf(f), sub, e.Name()), table))
			}
		}
	}
	slices.SortFunc(v.Mails, func(a, b mail) int { return strings.Compare(a.Key+" "+a.Folder, b.Key+" "+b.Folder) })
	return v
}

func readMail(t testing.TB, folder string, isNew bool, path string, table []string) mail {
	t.Helper()
	_, letters, _ := strings.Cut(filepath.Base(path), ":2,")
	m := mail{Folder: folder, Key: keyOf(path), New: isNew}
	for _, l := range letters {
		switch {
		case l < 'a':
			m.Flags += string(l)
		case int(l-'a') < len(table):
			m.Keywords = append(m.Keywords, table[l-'a'])
		default:
			m.Keywords = append(m.Keywords, "without a name: "+string(l))
		}
	}
	slices.Sort(m.Keywords)
	text, err := os.ReadFile(path)
	must(t, err)
	st, err := os.Stat(path)
	must(t, err)
	sum := sha256.Sum256(text)
	m.Size, m.SHA256, m.Received = st.Size(), hex.EncodeToString(sum[:4]), st.ModTime().UTC().String()
	return m
}

// keyOf returns the stable part of a mail's file name.
func keyOf(path string) string {
	name := filepath.Base(path)
	if i := strings.IndexAny(name, ",:"); i >= 0 {
		name = name[:i]
	}
	return name
}

// keywords reads dovecot-keywords: index i is letter 'a'+i.
func keywords(dir string) (table []string) {
	data, _ := os.ReadFile(filepath.Join(dir, "dovecot-keywords"))
	for line := range strings.Lines(string(data)) {
		n, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		i, _ := strconv.Atoi(n)
		for len(table) <= i {
			table = append(table, "")
		}
		table[i] = name
	}
	return table
}

// find returns the entries of a mail.
func (v view) find(key string) (out []mail) {
	for _, m := range v.Mails {
		if m.Key == key {
			out = append(out, m)
		}
	}
	return out
}

// where says in which folders a mail is, with its flags: "INBOX:FS work:".
func (v view) where(key string) string {
	var out []string
	for _, m := range v.find(key) {
		s := m.Folder + ":" + m.Flags
		for _, k := range m.Keywords {
			s += "+" + k
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// A file is what must never change of a mail at home but its name (G3).
type file struct {
	Key   string
	Ino   uint64
	Size  int64
	Mtime syscall.Timespec
	Mode  uint32
	UID   uint32
}

// files returns the mail files of a store by inode.
func files(t testing.TB, root string) map[uint64]file {
	t.Helper()
	out := map[uint64]file{}
	must(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if sub := filepath.Base(filepath.Dir(p)); err != nil || d.IsDir() || sub != "cur" && sub != "new" {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(p, &st); err != nil {
			return err
		}
		out[st.Ino] = file{keyOf(p), st.Ino, st.Size, st.Mtim, st.Mode, st.Uid}
		return nil
	}))
	return out
}

// litter returns what does not belong into a store after a sync: locks,
// temporary files, directories that are no folder.
func litter(t testing.TB, root string) (out []string) {
	t.Helper()
	must(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		parts := strings.Split(rel, "/")
		if strings.HasPrefix(parts[0], ".") && rel != "." {
			parts = parts[1:]
		}
		last := filepath.Base(rel)
		ok := d.IsDir()
		switch {
		case len(parts) == 0:
		case parts[0] == "cur" || parts[0] == "new":
			ok = len(parts) == 1 || len(parts) == 2 && !d.IsDir()
		case parts[0] == "tmp":
			ok = len(parts) == 1
		case len(parts) == 1:
			ok = rel == "." || !d.IsDir() && (last == "dovecot-keywords" || last == "maildirfolder")
		}
		if !ok {
			out = append(out, rel)
		}
		return nil
	}))
	return out
}

func names(t testing.TB, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func command(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

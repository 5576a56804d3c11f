package stream

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/tree"
)

// A world is a live store that operations change.
type world struct {
	t       *testing.T
	r       *rand.Rand
	l       tree.Layout
	root    string
	n       int // counts mails and contents
	log     []string
	subvols bool
	// sent: the store is online's. What stands there for something refused is a mail
	// as any other to who receives it.
	sent bool
}

func newWorld(t *testing.T, r *rand.Rand, l tree.Layout, root string) *world {
	w := &world{t: t, r: r, l: l, root: root}
	w.script("folder .")
	return w
}

func (w *world) abs(p string) string { return filepath.Join(w.root, p) }

// script does operations separated by ";" which must all succeed.
func (w *world) script(ops string) {
	w.t.Helper()
	for op := range strings.SplitSeq(ops, ";") {
		if op = strings.TrimSpace(op); op == "" {
			continue
		}
		if err := w.do(strings.Fields(op)...); err != nil {
			w.t.Fatalf("%s: %v", op, err)
		}
	}
}

// try does one operation, which may fail: then it was none.
func (w *world) try(op ...string) {
	if err := w.do(op...); err == nil {
		w.log = append(w.log, fmt.Sprintf("%q", op))
	}
}

// do knows the operations; names have no spaces in a script.
func (w *world) do(op ...string) error {
	p := w.abs(op[1])
	if st, err := os.Lstat(p); err == nil && st.Mode().Type() == fs.ModeNamedPipe && op[0] == "write" {
		return errors.New("would wait for a reader")
	}
	switch op[0] {
	case "folder":
		return errors.Join(os.MkdirAll(p+"/cur", 0o700), os.MkdirAll(p+"/new", 0o700), os.MkdirAll(p+"/tmp", 0o700))
	case "mkdir":
		return os.Mkdir(p, 0o700)
	case "mail":
		w.n++
		return os.WriteFile(p, fmt.Appendf(nil, "Subject: %d\n\n", w.n), 0o600)
	case "write": // a table of keywords, whatever the name
		w.n++
		return os.WriteFile(p, fmt.Appendf(nil, "0 Junk\n%d key%d\n", 1+w.n%25, w.n), 0o600)
	case "truncate":
		return os.Truncate(p, 3)
	case "touch":
		w.n++
		at := time.Unix(int64(w.n), 0)
		return os.Chtimes(p, at, at)
	case "mv":
		return os.Rename(p, w.abs(op[2]))
	case "refuse": // what stands for something that was refused; once more: no longer
		if err := unix.Lremovexattr(p, tree.RefusedXattr); err == nil {
			return os.Chmod(p, 0o600)
		}
		st, err := os.Lstat(p)
		if err != nil || !st.Mode().IsRegular() {
			return errors.New("no regular file")
		}
		return errors.Join(unix.Setxattr(p, tree.RefusedXattr, []byte("too long"), 0), os.Chmod(p, 0))
	case "swap":
		return unix.Renameat2(unix.AT_FDCWD, p, unix.AT_FDCWD, w.abs(op[2]), unix.RENAME_EXCHANGE)
	case "ln":
		return os.Link(p, w.abs(op[2]))
	case "symlink":
		return os.Symlink("/proc/nothing", p) // nobody can make anything there
	case "fifo":
		return unix.Mkfifo(p, 0o600)
	case "rm":
		return w.remove(p)
	case "subvol":
		w.subvols = true
		if out, err := exec.Command("btrfs", "subvolume", "create", p).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	panic(op[0])
}

// remove removes p and what is below, nested subvolumes too.
func (w *world) remove(p string) error {
	if _, err := os.Lstat(p); err != nil {
		return err
	}
	if p == w.root {
		return errors.New("the root")
	}
	return os.RemoveAll(p) // rmdir removes an empty subvolume (Linux 4.18)
}

func (w *world) removeSubvolumes() {
	if w.subvols {
		os.RemoveAll(w.root)
	}
}

// list returns the paths of all entries for which the condition holds, sorted.
func (w *world) list(is func(path string, d fs.DirEntry) bool) []string {
	var all []string
	filepath.WalkDir(w.root, func(p string, d fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(w.root, p)
		if err == nil && relErr == nil && is(rel, d) {
			all = append(all, rel)
		}
		return nil
	})
	slices.Sort(all)
	return all
}

func pick[T any](r *rand.Rand, list []T) (one T) {
	if len(list) > 0 {
		one = list[r.IntN(len(list))]
	}
	return one
}

// names of folders' directories, good, odd and bad ones, as the layout has them.
func (w *world) folderName() string {
	if w.l.FS {
		return pick(w.r, []string{"a", "b", "c", "a/b", "b/c", "a/b/c", "c/&AMQ-", "x&bad", "x&bad/a", "inbox", "INBOX/s", "xapian-indexes", ".hidden", "~x"})
	}
	return pick(w.r, []string{".a", ".b", ".c", ".a.b", ".b.c", ".a.b.c", ".c.&AMQ-", ".x&bad", ".x&bad.a", ".inbox", ".INBOX.s", "..DOVECOT-TRASHED", "plain", ".~x"})
}

func (w *world) mailName() string {
	w.n++
	return fmt.Sprintf("%d.M%d.host", 1000+w.r.IntN(100), w.r.IntN(3)) + pick(w.r, []string{"", ":2,", ":2,S", ":2,FS", ":2,a"})
}

// folder returns an existing directory with a cur/.
func (w *world) folder() string {
	return filepath.Dir(pick(w.r, w.list(func(p string, d fs.DirEntry) bool { return d.IsDir() && d.Name() == "cur" })))
}

func (w *world) mail() string {
	return pick(w.r, w.list(func(p string, d fs.DirEntry) bool {
		dir := filepath.Base(filepath.Dir(p))
		return d.Type().IsRegular() && (dir == "cur" || dir == "new")
	}))
}

// step does one random operation. One in rare is other than what Dovecot does to
// mail; a small number moves every directory, a big one few or none.
func (w *world) step(kind, rare int) {
	n := w.r.IntN(rare)
	switch {
	case kind == 0 && n == 0 && len(w.log) < 40:
		w.try("folder", w.folderName()) // in the first snapshot only
	case kind == 1 && n == 0, kind == 2 && n == 0 && w.r.IntN(2) == 0:
		w.folderStep()
	case kind == 2 && n == 0:
		w.wildStep()
	default:
		w.mailStep()
	}
}

func (w *world) mailStep() {
	f, m := w.folder(), w.mail()
	in := filepath.Join(f, pick(w.r, []string{"cur", "cur", "new"}))
	switch w.r.IntN(16) {
	case 0, 1, 2, 3:
		w.try("mail", "tmp/deliver")
		w.try("mv", "tmp/deliver", filepath.Join(in, w.mailName()))
	case 4, 5, 6: // flags
		w.try("mv", m, filepath.Join(filepath.Dir(m), w.mailName()))
	case 7, 8, 9:
		w.try("mv", m, filepath.Join(in, w.mailName()))
	case 10, 11:
		w.try("rm", m)
	case 12: // COPY
		w.try("ln", m, filepath.Join(in, w.mailName()))
	case 13:
		w.try("write", filepath.Join(f, pick(w.r, []string{"dovecot-keywords", "dovecot-uidlist", "dovecot.index.log"})))
	case 14:
		w.try("write", "tmp/keywords")
		w.try("mv", "tmp/keywords", filepath.Join(f, "dovecot-keywords"))
	case 15:
		w.try(pick(w.r, []string{"touch", "truncate"}), m)
	}
}

func (w *world) folderStep() {
	switch f := w.folder(); w.r.IntN(8) {
	case 0, 1, 2:
		w.try("folder", w.folderName())
	case 3, 4, 5, 6:
		to := w.folderName()
		for range w.r.IntN(2) { // a name that is likely to be free
			to += pick(w.r, []string{"1", "2", "3", "4"})
		}
		w.try("mv", f, to)
	case 7:
		if f != "." {
			w.try("rm", f)
		}
	}
}

// wildStep does what no mail server does.
func (w *world) wildStep() {
	dirs := w.list(func(p string, d fs.DirEntry) bool { return d.IsDir() })
	all := w.list(func(p string, d fs.DirEntry) bool { return p != "." })
	files := w.list(func(p string, d fs.DirEntry) bool { return !d.IsDir() || w.r.IntN(10) == 0 })
	to := filepath.Join(pick(w.r, dirs), pick(w.r, []string{"cur", "new", "tmp", "dovecot-keywords", "sub", ".dot", "m:2,:2,", w.mailName(), "dovecot.index"}))
	if w.r.IntN(2) == 0 {
		to = w.folderName()
	}
	switch w.r.IntN(15) {
	case 14:
		w.refuseStep(pick(w.r, all))
	case 0, 1, 2:
		w.try("mv", pick(w.r, dirs), to)
	case 3:
		w.try("mv", pick(w.r, all), to)
	case 4, 5:
		w.try("swap", pick(w.r, dirs), pick(w.r, dirs))
	case 6:
		w.try("swap", pick(w.r, all), pick(w.r, all))
	case 7:
		w.try("mkdir", to)
	case 8:
		w.try("rm", pick(w.r, files))
	case 9:
		w.try("ln", pick(w.r, all), to)
	case 10:
		w.try(pick(w.r, []string{"symlink", "fifo"}), to)
	case 11:
		w.try("subvol", to)
	case 12:
		w.try("folder", pick(w.r, dirs))
	case 13:
		w.try(pick(w.r, []string{"write", "touch", "truncate"}), pick(w.r, all))
	}
}

// refuseStep makes a placeholder, or mail of one, if it has no other names.
func (w *world) refuseStep(p string) {
	var st unix.Stat_t
	if err := unix.Lstat(w.abs(p), &st); err == nil && st.Nlink == 1 {
		if !w.sent {
			w.try("refuse", p)
		}
	}
}

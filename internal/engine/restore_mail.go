package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"snapmerge/internal/apply"
	"snapmerge/internal/host"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// A wanted is one mail that is to be brought back, from question to result.
type wanted struct {
	side     merge.Side
	message  string
	whole    bool // the message had gone as a whole, not one of its places
	copy     *state.SnapshotFile
	to       string
	name     tree.Name // as it was; its letters are worth nothing elsewhere
	keywords []string
	src      *source // nil: not to be read
	effect   state.Effect
	why      string
	file     *tree.File
}

func (w *wanted) key() string { return w.name.Key() }

// is tells whether a mail that a snapshot calls by that name is this one. Where
// the record of that sync is lost it is called by its key, which of two mails with
// one key is the first.
func (w *wanted) is(message string) bool {
	return message == w.message || message == w.key() && !strings.HasPrefix(w.message, message+",")
}

func (w *wanted) end(effect state.Effect, why string) { w.effect, w.why = effect, why }

// op makes the file. A mail that was in new/ comes to cur/, where it is as unread
// as before.
func (w *wanted) op() apply.Op {
	return apply.Op{
		Kind: apply.Place, Source: w.src.open, Size: w.src.file.Size, Mtime: w.src.file.Mtime,
		To: apply.Target{Folder: w.to, Unique: w.name.Unique, Flags: w.name.Flags, Keywords: w.keywords, Extra: w.name.Extra},
	}
}

func (w *wanted) done(res apply.Result) {
	s := stepResult(0, res)
	w.end(s.Effect, s.Why)
	w.file = s.File
	if len(s.Missing) > 0 {
		w.why = fmt.Sprintf("without the keywords %q, for which the folder has no letter left", s.Missing)
		w.keywords = slices.DeleteFunc(w.keywords, func(k string) bool { return slices.Contains(s.Missing, k) })
	}
}

// read opens the copy of a mail. Its bytes are those of a snapshot of home where
// there is one; the sizes in a name that came from online must be true.
func (r *restorer) read(w *wanted) error {
	z, err := r.snapshot(w.copy.Snapshot)
	if err == nil {
		err = w.readFrom(z)
	}
	if errors.Is(err, fs.ErrNotExist) {
		w.src = nil
		w.end(state.Lost, fmt.Sprintf("it was in snapshot %s, which is not kept any more", w.copy.Snapshot))
		return nil
	}
	if err != nil { // something else than mail lies there
		w.src = nil
		w.end(state.Failed, err.Error())
	}
	return nil
}

func (w *wanted) readFrom(z *frozen) error {
	w.src = &source{in: z, path: w.copy.Path}
	f, err := w.src.open()
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	w.src.file = tree.File{Name: w.name.String(), Size: st.Size(), Mtime: st.ModTime().UnixNano()}
	w.name.Unique, err = safeUnique(w.src)
	return err
}

// snapshot opens a snapshot that can be read here, once.
func (r *restorer) snapshot(name string) (*frozen, error) {
	if z := r.old[name]; z != nil {
		return z, nil
	}
	z, err := openFrozen(r.readable(name), name)
	if err == nil {
		r.old[name] = z
	}
	return z, err
}

// openLive opens a store itself.
func openLive(s host.Store) (*frozen, error) {
	fd, err := unix.Open(s.Path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open store %q: %w", s.Path, err)
	}
	return &frozen{"", os.NewFile(uintptr(fd), s.Path), s.Layout}, nil
}

// A mailAt is a name in a store, and what it says.
type mailAt struct {
	folder string
	isNew  bool
	name   string
	ino    uint64
	asIf   *source // not there yet: a mail that is about to be placed
}

func (m mailAt) key() string { return keyUpTo(m.name, ",:") }

func (m mailAt) path(l tree.Layout) (string, error) {
	dir, err := l.Dir(m.folder)
	return filepath.Join(dir, tree.File{New: m.isNew}.Dir(), m.name), err
}

// eachName calls f for every name in the folders of a store or snapshot. It looks
// at no file.
func (z *frozen) eachName(f func(mailAt) error) error {
	r, err := tree.NewReader(z.root, z.layout)
	if err != nil {
		return err
	}
	defer r.Close()
	folders, err := r.Folders()
	if err != nil {
		return err
	}
	for _, folder := range folders {
		for _, isNew := range []bool{false, true} {
			if err := eachEntry(r, folder.Name, isNew, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func eachEntry(r *tree.Reader, folder string, isNew bool, f func(mailAt) error) error {
	list, err := r.Entries(folder, isNew)
	if list == nil || err != nil {
		return err
	}
	defer list.Close()
	for {
		ino, name, err := list.Next()
		if err != nil {
			return endOf(err)
		}
		if err := f(mailAt{folder: folder, isNew: isNew, name: string(name), ino: ino}); err != nil {
			return err
		}
	}
}

// holdings are what a side has of the mails in question, by message and by key.
type holdings struct {
	z    *frozen
	have map[string][]mailAt
	gone map[[2]string]bool // message and folder: it was there, but is not any more
}

func (r *restorer) holdings(side merge.Side, list []*wanted) (*holdings, error) {
	h := &holdings{z: r.live[side], have: map[string][]mailAt{}}
	for _, w := range list {
		h.have[w.key()], h.have[w.message] = nil, nil
	}
	known, err := r.knownInodes(side)
	if err != nil {
		return nil, err
	}
	return h, h.z.eachName(func(m mailAt) error {
		message := cmp.Or(known[m.ino], m.key())
		for _, name := range []string{message, m.key()} {
			if at, asked := h.have[name]; asked {
				h.have[name] = append(at, m)
			}
			if m.key() == message {
				break
			}
		}
		return nil
	})
}

// knownInodes returns the messages of those files of a store whose names may not
// tell them, by inode number.
func (r *restorer) knownInodes(side merge.Side) (map[uint64]string, error) {
	out := map[uint64]string{}
	if r.rec == nil || r.hosts.Facts[side].Live.UUID.String() != r.rec.Stores[side].Live {
		return out, nil
	}
	for _, p := range r.rec.Pending.Pairs {
		if p.Side == side {
			out[p.Ino] = p.Message
		}
	}
	for _, o := range r.rec.Pending.Own {
		if o.Side == side {
			out[o.File.Ino] = o.Message
		}
	}
	back, err := r.restoredSince()
	for _, m := range back {
		if m.Side == side && m.File != nil && m.File.Ino != 0 {
			out[m.File.Ino] = m.Message
		}
	}
	return out, err
}

// restoredSince are the mails that were restored since the last sync.
func (r *restorer) restoredSince() (out []state.Restored, err error) {
	ids, err := state.ListRestores(r.hosts.Dir)
	for _, id := range ids {
		if r.rec == nil || id.Sync != r.rec.Sync {
			continue
		}
		back, err := state.ReadRestore(r.hosts.Dir, id)
		if err != nil {
			r.notes = append(r.notes, err.Error())
			continue
		}
		out = append(out, back.Mails...)
	}
	return out, err
}

// check finds out whether a mail is there already: in its folder, or anywhere if
// it had gone as a whole. Another mail of its name is in the way in its own
// folder only.
func (h *holdings) check(w *wanted) error {
	names := []string{w.message, w.key()}
	for _, name := range slices.Compact(names) {
		for _, m := range h.have[name] {
			here := m.folder == w.to
			if m.asIf == nil && h.gone[[2]string{w.message, m.folder}] {
				continue
			}
			if !here && (!w.whole || m.asIf != nil) {
				continue
			}
			same, err := h.same(m, w.src)
			switch {
			case err != nil:
				return err
			case same:
				w.end(state.There, fmt.Sprintf("it is in %q", m.folder))
				return nil
			case here && m.key() == w.key():
				w.end(state.Raced, "name taken by another mail")
				return nil
			}
		}
	}
	h.have[w.message] = append(h.have[w.message], mailAt{folder: w.to, name: w.name.String(), asIf: w.src})
	return nil
}

func (h *holdings) same(m mailAt, src *source) (bool, error) {
	if m.asIf != nil {
		return equalBytes(m.asIf, src)
	}
	path, err := m.path(h.z.layout)
	if err != nil {
		return false, err
	}
	have := &source{in: h.z, path: path}
	f, err := have.open()
	if err != nil {
		return false, nil // no mail, or gone since
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	have.file.Size = st.Size()
	return equalBytes(have, src)
}

// endOf turns the end of a list into none.
func endOf(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

package enginetest

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/config"
	"snapmerge/merge"
)

// mailUID owns both Maildirs; the tests run as root.
const mailUID = 5000

// tb is what this package needs of a test: *testing.T and *rapid.T have it.
type tb interface {
	Helper()
	Fatalf(format string, args ...any)
}

// A mail is one message that a client or a sender has made.
type mail struct {
	body     []byte
	dragOf   int  // the mail that this is a copy of, made by a client's move home; -1
	dragged  bool // a client has moved it home once
	received int64
}

// A world is one mailbox on two stores, and what the clients and the test know
// of it.
type world struct {
	t         tb
	stores    [2]store
	state     string // snapmerge's state directory
	far       bool   // online counts as another machine
	rng       *rand.Rand
	clock     time.Time
	mails     []*mail
	owner     [2]map[uint64]int // inode → mail
	byContent map[[sha256.Size]byte]int
	keys      map[string]int // every key that a file of the mail ever had
	serial    int
	rotation  config.Rotate
	oracle    *oracle
	did       []string // in words, for whoever reads a failure
}

// fixedFolders are those that clients make and remove; "work/a" is below one
// of them, and one name is not ASCII.
var fixedFolders = []string{"work", "work/a", "lists", umlaut, "old", "Spam", "lists/2020"}

// newWorld makes two empty mailboxes in fs. fsHome: home has the fs layout.
func newWorld(t tb, fs *btrfstest.FS, sub func(name string) string, r rules, fsHome bool, seed uint64) *world {
	w := &world{
		t: t, rotation: config.Rotate{PreserveMin: "2d", Preserve: "14d"}, rng: rand.New(rand.NewPCG(seed, 1)), state: filepath.Join(fs.Path, "state"),
		clock:     time.Now().UTC().Truncate(time.Second),
		owner:     [2]map[uint64]int{{}, {}},
		byContent: map[[sha256.Size]byte]int{}, keys: map[string]int{},
		oracle: &oracle{rules: r, memory: map[int]*memory{}, agreed: map[string]bool{}, rename: [2]map[string]string{{}, {}},
			made: [2]map[string]bool{{}, {}}},
	}
	for _, side := range merge.Sides {
		s := store{root: sub(side.String()), snapshots: filepath.Join(fs.Path, "snapshots-"+side.String())}
		s.fs = side == offline && fsHome
		w.must(os.Mkdir(s.snapshots, 0o700))
		w.must(os.Chown(s.root, mailUID, mailUID))
		w.must(os.Chmod(s.root, 0o700))
		w.stores[side] = s
		for _, f := range []string{"INBOX", "work", "old", "Spam"} {
			w.makeFolder(side, f)
		}
		if r.filing() {
			w.makeFolder(side, lists)
		}
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%v\n%s", err, w.story())
	}
}

func (w *world) story() string { return strings.Join(w.did, "\n") }

func (w *world) log(format string, args ...any) { w.did = append(w.did, fmt.Sprintf(format, args...)) }

func (w *world) makeFolder(side merge.Side, folder string) {
	w.t.Helper()
	dir := w.stores[side].path(folder)
	for _, sub := range []string{"", "cur", "new", "tmp"} {
		path := filepath.Join(dir, sub)
		w.must(os.MkdirAll(path, 0o700))
		for p := path; len(p) > len(w.stores[side].root); p = filepath.Dir(p) {
			w.must(os.Chown(p, mailUID, mailUID))
		}
	}
}

// unique makes a name as Dovecot does, as other software does, and now and
// then with a W= that is wrong.
func (w *world) unique(mail int) string {
	w.serial++
	body := w.mails[mail].body
	key := fmt.Sprintf("%d.M%dP%d.host", 1_700_000_000+w.serial, w.rng.IntN(1_000_000), 100+w.serial)
	w.keys[key] = mail
	wire := len(body) + strings.Count(string(body), "\n")
	switch w.rng.IntN(10) {
	case 0:
		return key
	case 1:
		return fmt.Sprintf("%s,S=%d,W=%d", key, len(body), wire+1)
	}
	return fmt.Sprintf("%s,S=%d,W=%d", key, len(body), wire)
}

// newMail invents a mail. Half of them have one of two sizes; one in four is
// longer than what btrfs keeps inline.
func (w *world) newMail(age time.Duration) int {
	id := len(w.mails)
	n := []int{300, 301, 120 + w.rng.IntN(700), 3000 + w.rng.IntN(9000)}[w.rng.IntN(4)]
	body := fmt.Appendf(nil, "From: a%d@example.org\nSubject: mail %d\n\n", id, id)
	for len(body) < n {
		body = append(body, "abcdefgh \n"[w.rng.IntN(10)])
	}
	received := w.clock.Add(-age).UnixNano() - w.rng.Int64N(int64(time.Hour))
	w.mails = append(w.mails, &mail{body: body, dragOf: -1, received: received})
	w.byContent[sum(body)] = id
	return id
}

// write makes a file of a mail.
func (w *world) write(side merge.Side, mail int, folder, sub, name string, received int64) {
	w.t.Helper()
	path := filepath.Join(w.stores[side].path(folder), sub, name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	w.must(err)
	_, err = f.Write(w.mails[mail].body)
	w.must(err)
	w.must(f.Chown(mailUID, mailUID))
	w.must(f.Close())
	ts := []unix.Timespec{unix.NsecToTimespec(received), unix.NsecToTimespec(received)}
	w.must(unix.UtimesNanoAt(unix.AT_FDCWD, path, ts, 0))
	w.owner[side][w.stat(path).ino] = mail
}

func (w *world) path(side merge.Side, f file) string {
	return filepath.Join(w.stores[side].path(f.folder), f.sub(), f.name)
}

// view is where every mail is, by mail and side.
func (w *world) view() (map[int][2]places, [2]shelf) {
	w.t.Helper()
	out := map[int][2]places{}
	var shelves [2]shelf
	for _, side := range merge.Sides {
		shelves[side] = w.read(side)
		for mail, ps := range w.placesOf(shelves[side]) {
			both := out[mail]
			both[side] = ps
			out[mail] = both
		}
	}
	for mail := range w.oracle.memory {
		if _, ok := out[mail]; !ok {
			out[mail] = [2]places{}
		}
	}
	return out, shelves
}

// factsOf tells what else the merge can know of a mail: whether a client has
// just moved it home.
func (w *world) factsOf(mail int, view map[int][2]places) facts {
	fa := facts{clock: w.clock}
	if len(view[mail][online]) > 0 || len(view[mail][offline]) == 0 {
		return fa
	}
	for id, m := range w.mails {
		if m.dragOf != mail {
			continue
		}
		b := w.oracle.of(id).base
		fa.dragged = len(b[online])+len(b[offline]) == 0 && len(view[id][online]) == 0 && len(view[id][offline]) > 0
	}
	return fa
}

// predictable tells whether the table says what becomes of a mail if it lies like this.
func (w *world) predictable(mail int, ps [2]places, view map[int][2]places) bool {
	after := map[int][2]places{mail: ps}
	for id, p := range view {
		if id != mail {
			after[id] = p
		}
	}
	return w.oracle.foresee(mail, ps, w.factsOf(mail, after)).odd == ""
}

// beyond: the passing of time alone has brought a mail, one that waits for a
// person, to where the oracle does not know the table's answer.
func (w *world) beyond() bool {
	view, _ := w.view()
	for mail, ps := range view {
		if !w.predictable(mail, ps, view) {
			return true
		}
	}
	return false
}

// known returns the mail that a report calls by this name.
func (w *world) known(message string) int {
	w.t.Helper()
	id, ok := w.keys[message]
	if !ok {
		w.t.Fatalf("the report names %q, which is no mail\n%s", message, w.story())
	}
	return id
}

// folders of a side that clients may use, sorted.
func (sh shelf) names() []string {
	var out []string
	for f := range sh.folders {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

func TestMain(m *testing.M) { btrfstest.Main(m) }

// A world is a mailbox that was synced four times: mail came home, was moved under
// another name, deleted on both sides, and one deletion waits for a decision.
type world struct {
	t        *testing.T
	dir      string
	mb       config.Mailbox
	stateDir string
	older    []byte // the index of sync 3
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return worldOn(t, btrfstest.Shared(t))
}

func worldOn(t *testing.T, fs *btrfstest.FS) *world {
	t.Helper()
	dir := fs.Path
	hold := merge.Hold
	w := &world{t: t, dir: dir, stateDir: filepath.Join(dir, "state"), mb: config.Mailbox{
		Name:    "chris",
		Online:  config.Store{Path: filepath.Join(dir, "online"), Snapshots: filepath.Join(dir, "snap-online")},
		Offline: config.Store{Path: filepath.Join(dir, "home"), Snapshots: filepath.Join(dir, "snap-home")},
		Merge:   config.Merge{DeletedOnline: merge.Apply, DeletedOffline: merge.Apply, MaxDeletions: 100},
		Folders: []merge.Rule{{Match: "ask", DeletedOnline: &hold}},
		Rotate:  config.Rotate{PreserveMin: "2d"},
	}}
	for _, s := range []config.Store{w.mb.Online, w.mb.Offline} {
		w.must(os.Mkdir(s.Snapshots, 0o700))
		w.btrfs("subvolume", "create", s.Path)
		w.folder(s.Path)
	}
	w.folder(w.online(".ask"))
	w.folder(w.online(".work"))
	for _, m := range []string{"cur/1.a,S=300:2,S", "cur/2.b:2,F", "cur/3.c:2,", "cur/4.d:2,", ".ask/cur/5.e:2,S", ".work/cur/6.f:2,S", "cur/8.h:2,S"} {
		w.mail(w.online(m), 300)
	}
	w.mail(w.online("cur/7.g:2,S"), 9000)
	w.sync()
	w.must(os.Rename(w.home("cur/4.d:2,"), w.home(".work/cur/4.new:2,S")))
	w.must(os.WriteFile(w.home(".work/dovecot-keywords"), []byte("0 todo\n"), 0o600))
	w.must(os.Rename(w.home(".work/cur/6.f:2,S"), w.home(".work/cur/6.f:2,Sa")))
	w.sync()
	w.must(os.Remove(w.online("cur/2.b:2,F")))
	w.must(os.Remove(w.home("cur/3.c:2,")))
	w.must(os.Remove(w.online(".ask/cur/5.e:2,S")))
	w.sync()
	var err error
	w.older, err = os.ReadFile(w.index())
	w.must(err)
	w.mail(w.online("cur/9.i:2,S"), 300)
	w.sync()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) btrfs(args ...string) {
	w.t.Helper()
	if out, err := exec.Command("btrfs", args...).CombinedOutput(); err != nil {
		w.t.Fatalf("btrfs %q: %v: %s", args, err, out)
	}
}

func (w *world) folder(path string) {
	w.t.Helper()
	for _, sub := range []string{"cur", "new", "tmp"} {
		w.must(os.MkdirAll(filepath.Join(path, sub), 0o700))
	}
}

func (w *world) mail(path string, size int) {
	w.t.Helper()
	text := fmt.Sprintf("Subject: %s\n\n", filepath.Base(path))
	w.must(os.WriteFile(path, []byte(text+strings.Repeat("x", size-len(text))), 0o600))
	at := time.Date(2015, 12, 21, 2, 31, 17, 0, time.UTC)
	w.must(os.Chtimes(path, at, at))
}

func (w *world) online(path string) string { return filepath.Join(w.mb.Online.Path, path) }
func (w *world) home(path string) string   { return filepath.Join(w.mb.Offline.Path, path) }
func (w *world) snap(name string) string   { return filepath.Join(w.mb.Offline.Snapshots, name) }
func (w *world) index() string             { return engine.IndexPath(w.stateDir, w.mb.Name) }

func (w *world) sync() {
	w.t.Helper()
	_, err := engine.Sync(context.Background(), w.mb, w.stateDir, engine.Options{})
	w.must(err)
}

func (w *world) verify(opt Options) *Result {
	w.t.Helper()
	res, err := Run(context.Background(), w.mb, w.stateDir, opt)
	w.must(err)
	return res
}

// record rewrites the record of a sync.
func (w *world) record(sync int, change func(*state.Record)) {
	w.t.Helper()
	dir, err := os.Open(w.mb.Offline.Snapshots)
	w.must(err)
	defer dir.Close()
	rec, err := state.ReadRecord(dir, sync)
	w.must(err)
	change(rec)
	w.must(os.Remove(w.snap(fmt.Sprintf("sync.%d.json", sync))))
	w.must(state.WriteRecord(dir, rec))
}

func (w *world) write(path, text string) {
	w.t.Helper()
	w.must(os.WriteFile(path, []byte(text), 0o600))
}

func (w *world) edit(path string, change func([]byte) []byte) {
	w.t.Helper()
	data, err := os.ReadFile(path)
	w.must(err)
	changed := change(bytes.Clone(data))
	if bytes.Equal(changed, data) {
		w.t.Fatalf("%s: nothing to change", path)
	}
	w.must(os.WriteFile(path, changed, 0o600))
}

// sql changes the index behind snapmerge's back.
func (w *world) sql(statement string) {
	w.t.Helper()
	w.must(runSQL(w.index(), statement))
}

// everything is all that there is: names, kinds, sizes, times, and the bytes of
// records and index. What a snapshot that came and went has touched is left out:
// the date of the directory that it was in.
func (w *world) everything() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	w.must(filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return err
		}
		text := fmt.Sprint(st.Ino, st.Mode, st.Nlink)
		if path != w.mb.Offline.Snapshots {
			text += fmt.Sprint(st.Size, st.Mtim, st.Ctim)
		}
		if d.Type().IsRegular() && (filepath.Dir(path) == w.mb.Offline.Snapshots || filepath.Dir(path) == w.stateDir) {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %x", sha256.Sum256(data))
		}
		out[path] = text
		return nil
	}))
	return out
}

func codes(res *Result) (out []string) {
	for _, f := range res.Findings {
		out = append(out, string(f.Code))
	}
	return slices.Compact(out)
}

// saved puts back, when called, all files beside home's snapshots and the index.
func (w *world) saved() (restore func()) {
	w.t.Helper()
	files := map[string][]byte{}
	paths, _ := filepath.Glob(w.snap("*"))
	for _, p := range append(paths, w.index()) {
		if st, err := os.Lstat(p); err == nil && st.Mode().IsRegular() {
			data, err := os.ReadFile(p)
			w.must(err)
			files[p] = data
		}
	}
	return func() {
		now, _ := filepath.Glob(w.snap("*"))
		for _, p := range now {
			if st, err := os.Lstat(p); err == nil && (st.Mode().IsRegular() && files[p] == nil || !st.Mode().IsRegular() && !st.IsDir()) {
				w.must(os.RemoveAll(p))
			}
		}
		for p, data := range files {
			if have, err := os.ReadFile(p); err != nil || string(have) != string(data) {
				w.must(os.WriteFile(p, data, 0o600))
			}
		}
		os.Remove(w.index() + "-journal")
	}
}

// A damage is something done to a mailbox, and what verify is to call it.
type damage struct {
	name string
	code Code
	do   func(w *world)
	undo func(w *world) // what saved does not put back
	// mends: --rebuild is enough.
	mends bool
}

// TestDamage does all sorts of damage, one after the other, and wants each named,
// in a place that leads there, and nothing changed by looking. An index is
// mended by --rebuild. Before and after, a sound mailbox gives no finding.
func TestDamage(t *testing.T) {
	w := newWorld(t)
	if got := w.verify(Options{}); len(got.Findings) > 0 || len(got.Notes) > 0 {
		t.Fatalf("nothing is wrong: %+v", got)
	}
	restore := w.saved()
	seen := map[Code]bool{}
	for _, d := range slices.Concat(recordDamage, indexDamage, snapshotDamage) {
		d.do(w)
		before := w.everything()
		res := w.verify(Options{})
		if diff := cmp.Diff(before, w.everything()); diff != "" {
			t.Errorf("%s: looking changed something:\n%s", d.name, diff)
		}
		if !slices.Contains(codes(res), string(d.code)) {
			t.Errorf("%s: found %q, want %s", d.name, codes(res), d.code)
		}
		for _, f := range res.Findings {
			if f.Where == "" || f.What == "" || f.Mend == "" || f.About == "" {
				t.Errorf("%s: a finding that says too little: %+v", d.name, f)
			}
		}
		seen[d.code] = true
		if d.mends {
			if res := w.verify(Options{Rebuild: true}); !res.Rebuilt {
				t.Errorf("%s: the index was not made anew: %+v", d.name, res)
			}
			if res := w.verify(Options{}); len(res.Findings) > 0 {
				t.Errorf("%s: after --rebuild: %+v", d.name, res.Findings)
			}
		}
		if d.undo != nil {
			d.undo(w)
		}
		restore()
	}
	if got := w.verify(Options{}); len(got.Findings) > 0 {
		t.Fatalf("all damage is undone: %+v", got)
	}
	w.sync()
	if got := w.verify(Options{}); len(got.Findings) > 0 {
		t.Fatalf("after one more sync: %+v", got)
	}
	t.Logf("%d kinds of damage in %d cases", len(seen), len(recordDamage)+len(indexDamage)+len(snapshotDamage))
}

// TestDamagedHome damages home's mail, all at once, as a disk or another program
// may. Each is named with its path.
func TestDamagedHome(t *testing.T) {
	w := newWorld(t)
	got := w.verify(Options{Digest: true})
	if len(got.Findings) > 0 || got.Digests != got.Mails {
		t.Fatalf("nothing is wrong: %+v", got)
	}
	want := map[string]Code{}
	for _, d := range homeDamage {
		want[w.home(d.path)] = d.code
		d.do(w, w.home(d.path))
	}
	before := w.everything()
	res := w.verify(Options{Digest: true})
	found := map[string]Code{}
	for _, f := range res.Findings {
		if want[f.Where] == f.Code || found[f.Where] == "" {
			found[f.Where] = f.Code
		}
	}
	for path, code := range want {
		if found[path] != code {
			t.Errorf("%s: found %q, want %s", path, found[path], code)
		}
	}
	after := w.everything()
	for _, m := range []map[string]string{before, after} { // the digests are new
		delete(m, DigestPath(w.stateDir, "chris"))
		delete(m, w.stateDir)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("looking changed something:\n%s", diff)
	}
	if t.Failed() {
		for _, f := range res.Findings {
			t.Logf("%s: %s: %s", f.Code, f.Where, f.What)
		}
	}
}

// TestStores: a store that is another one, read by another layout, or not one.
func TestStores(t *testing.T) {
	w := newWorld(t)
	w.mb.Offline.Layout.UTF8 = true
	if got := codes(w.verify(Options{})); !slices.Equal(got, []string{"store-layout"}) {
		t.Errorf("another encoding: %q", got)
	}
	w.mb.Offline.Layout.UTF8 = false
	w.must(os.Mkdir(w.home(".nest"), 0o700))
	w.btrfs("subvolume", "create", w.home(".nest/cur"))
	if got := codes(w.verify(Options{})); !slices.Contains(got, "store-nested") {
		t.Errorf("a nested subvolume: %q", got)
	}
	w.btrfs("subvolume", "delete", w.home(".nest/cur"))
	w.must(os.Remove(w.home(".nest")))
	w.must(os.Rename(w.mb.Offline.Path, w.dir+"/away"))
	w.btrfs("subvolume", "snapshot", w.dir+"/away", w.mb.Offline.Path)
	if got := codes(w.verify(Options{})); !slices.Equal(got, []string{"store-replaced"}) {
		t.Errorf("home was restored from somewhere: %q", got)
	}
}

// TestDigestGoesOn: a run with digests that is interrupted goes on where it was,
// and what it had found is found again.
func TestDigestGoesOn(t *testing.T) {
	w := newWorld(t)
	for i := range 2 * batch {
		w.mail(w.home(fmt.Sprintf("cur/%d.many:2,S", 1000+i)), 100)
	}
	w.verify(Options{Digest: true})
	w.edit(w.home("cur/1.a,S=300:2,S"), func(b []byte) []byte { b[200]++; return b })
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Run(ctx, w.mb, w.stateDir, Options{Digest: true, Progress: func(stage string, done, total int) {
		if stage == "digest" && done >= batch {
			cancel()
		}
	}})
	if err == nil {
		t.Fatal("not interrupted")
	}
	res := w.verify(Options{Digest: true})
	if res.Digests == 0 || res.Digests > res.Mails-batch+1 {
		t.Errorf("%d of %d mails read, want what was left", res.Digests, res.Mails)
	}
	if !slices.Contains(codes(res), "digest-changed") {
		t.Errorf("found %q", codes(res))
	}
	if snaps, _ := filepath.Glob(w.snap("offline.5")); len(snaps) > 0 {
		t.Error("the snapshot is left")
	}
}

// TestDocument: doc/verify.md and the program name the same kinds.
func TestDocument(t *testing.T) {
	data, err := os.ReadFile("../../doc/verify.md")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, k := range Kinds {
		want = append(want, fmt.Sprintf("| `%s` | %s | %s |", k.Code, k.About, k.Mend))
	}
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "| `") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("doc/verify.md (-program +document):\n%s", d)
	}
}

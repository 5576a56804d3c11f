// Package verify looks whether what snapmerge knows of a mailbox is true: records,
// snapshots, index and home's live mail, each against the others. It finds and
// names damage, and changes nothing: the stores are looked at in a snapshot that
// is gone again afterwards.
//
// It is a package of its own because it must not believe what the engine takes
// for granted; of the engine it uses no more than the locks.
package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// Options of a run.
type Options struct {
	// Digest reads every mail at home, and compares it with what was read by the
	// runs before. Interrupted, the next one goes on from there.
	Digest   bool
	Rebuild  bool // make the index anew, from base snapshots and record
	Now      func() time.Time
	Connect  engine.Connect
	Progress func(stage string, done, total int)
}

// A Finding is one thing that is not as it should be.
type Finding struct {
	Kind
	Where string // a path, or what else names it
	What  string // what was found
}

// A Result is what a run has found.
type Result struct {
	Findings []Finding
	More     map[Code]int // how many more there are of a kind than are listed
	Notes    []string     // what is worth knowing and no damage
	Rebuilt  bool
	// What was looked at.
	Records, Snapshots, Mails, Digests int
}

// maxFindings is how many findings of one kind are listed.
const maxFindings = 100

// A verifier is one run.
type verifier struct {
	Result
	mb       config.Mailbox
	opt      Options
	stateDir string
	hosts    *engine.Hosts
	rec      *state.Record  // the newest that can be read, or nil
	running  *state.Intent  // of an interrupted sync
	syncs    []int          // of which there is a record
	records  map[int]*known // what snapshots are compared with
	shelves  [2][]snapshot.Entry
	base     [2]*tree.Tree // of the base snapshots; nil: not to be read
	now      *tree.Tree    // of home as it is
	nowRoot  *os.File
	roots    map[string]*os.File // by path
}

// known is what a record says of its snapshots.
type known struct{ uuid [2]string }

// Run verifies a mailbox. Findings are no error.
//
// Errors: a [*engine.Problem] if a store can not be looked at, [lock.ErrLocked].
func Run(ctx context.Context, mb config.Mailbox, stateDir string, opt Options) (*Result, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Progress == nil {
		opt.Progress = func(string, int, int) {}
	}
	v := &verifier{mb: mb, opt: opt, stateDir: stateDir, records: map[int]*known{}, roots: map[string]*os.File{}, Result: Result{More: map[Code]int{}}}
	var err error
	if v.hosts, err = engine.OpenHosts(ctx, mb, opt.Connect, false); err != nil {
		return nil, err
	}
	defer v.close()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"records", v.checkRecords}, {"snapshots", v.checkSnapshots}, {"index", v.checkIndex}, {"home", v.checkHome},
	} {
		opt.Progress(step.name, 0, 0)
		if err := step.do(ctx); err != nil {
			return nil, fmt.Errorf("verify %s: %w", step.name, err)
		}
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
	}
	return &v.Result, nil
}

func (v *verifier) close() {
	for _, f := range v.roots {
		f.Close()
	}
	v.hosts.Close()
}

func (v *verifier) found(c Code, where, format string, args ...any) {
	n := 0
	for _, f := range v.Findings {
		if f.Code == c {
			n++
		}
	}
	if n >= maxFindings {
		v.More[c]++
		return
	}
	v.Findings = append(v.Findings, Finding{kindOf(c), where, fmt.Sprintf(format, args...)})
}

func (v *verifier) note(format string, args ...any) {
	v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
}

// store is where a side's snapshots can be read.
func (v *verifier) store(side merge.Side) (dir string, layout tree.Layout) {
	if side == merge.Offline {
		return v.mb.Offline.Snapshots, v.mb.Offline.Layout
	}
	if v.hosts.Mirrored {
		l := v.mb.Online.Layout
		l.Mirror = true
		return v.mb.Offline.Snapshots, l
	}
	return v.mb.Online.Snapshots, v.mb.Online.Layout
}

// open opens the root of a snapshot, once, until the run ends.
func (v *verifier) open(dir, name string) (*os.File, error) {
	path := filepath.Join(dir, name)
	if f := v.roots[path]; f != nil {
		return f, nil
	}
	if _, err := snapshot.Read(path); err != nil {
		return nil, err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %q: %w", name, err)
	}
	v.roots[path] = os.NewFile(uintptr(fd), path)
	return v.roots[path], nil
}

// inSnapshot tells whether a snapshot that is there has a file.
func (v *verifier) inSnapshot(at *state.SnapshotFile) (there, has bool, err error) {
	side := merge.Offline
	if s, _, _ := snapshot.ParseName(at.Snapshot); s == snapshot.Online {
		side = merge.Online
	}
	dir, _ := v.store(side)
	root, err := v.open(dir, at.Snapshot)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, snapshot.ErrNotSubvolume) {
		return false, false, nil
	} else if err != nil {
		return false, false, err
	}
	f, err := openBeneath(root, at.Path)
	if err != nil {
		return true, false, nil
	}
	st, err := f.Stat()
	f.Close()
	return true, err == nil && st.Mode().IsRegular(), nil
}

// openBeneath opens a file of a snapshot, and nothing outside of it.
func openBeneath(root *os.File, path string) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	}
	fd, err := unix.Openat2(int(root.Fd()), path, &how)
	if err != nil {
		return nil, fmt.Errorf("open %q in %q: %w", path, root.Name(), err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// pathOf is a mail's path below the root of its store.
func pathOf(l tree.Layout, f tree.File) string {
	dir, err := l.Dir(f.Folder)
	if err != nil {
		dir = f.Folder
	}
	return filepath.Join(dir, f.Dir(), f.Name)
}

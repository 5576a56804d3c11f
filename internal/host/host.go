// Package host is what a sync asks of the machine that a store is on: look,
// freeze, send, change, prune. [Local] does it on this machine; the far end of
// an ssh connection does it with the same [Local], so both sides of a mailbox
// are treated alike, wherever they are.
package host

import (
	"context"
	"fmt"
	"io"
	"time"

	"snapmerge/internal/apply"
	"snapmerge/snapshot"
	"snapmerge/tree"
)

// A Host is the machine of one store. It is for one goroutine at a time.
type Host interface {
	// Look tells how the store stands. What would keep a sync from working is in
	// Facts.Problems; an error means that it could not be looked at. thorough takes
	// time in proportion to the mailbox: it counts, and looks at every folder.
	Look(ctx context.Context, thorough bool) (*Facts, error)

	// Freeze takes a read-only snapshot of the store, durable when it returns.
	Freeze(ctx context.Context, name string) (*Frozen, error)

	// Send returns the send stream from the snapshot parent to the snapshot name,
	// of all of it if parent is "". It must be read to its end, or closed, before
	// the next call.
	Send(ctx context.Context, name, parent string) (io.ReadCloser, error)

	// Apply changes the store: see [Batch]. done is called once for each step that
	// was begun, in their order, with its index.
	Apply(ctx context.Context, b Batch, done func(i int, r apply.Result)) error

	// Prune deletes the snapshots of those names. One that is gone is no error.
	Prune(ctx context.Context, names []string) error

	// Close ends the session and lets the lock go.
	Close() error
}

// A Store says where a store is on its host.
type Store struct {
	Path      string // the Maildir, a subvolume
	Snapshots string // the directory of its snapshots, on the same file system
	Layout    tree.Layout
	// Control is the directory of Dovecot's control files, where that is not the
	// Maildir (CONTROL= of a mail location); then Layout.Control is set.
	Control string
}

// Facts are what a host knows of its store.
type Facts struct {
	Version   string // of the program over there
	Live      snapshot.Info
	Snapshots []snapshot.Entry // those of its side, by sync
	Free      uint64           // bytes that are free on its file system
	Problems  []Problem
	// Of a thorough look: what the store holds.
	Mails, Folders int
	Bytes          int64
}

// A Problem is something that a sync would fail on, and how to mend it.
type Problem struct {
	Subject string // what it is about: a path
	Text    string
	Mend    string // commands or a sentence, "" where there is nothing to advise
	// Gone: the store itself can not be looked at.
	Gone bool
}

func (p *Problem) Error() string { return fmt.Sprintf("%s: %s", p.Subject, p.Text) }

// Frozen is a snapshot that was just taken.
type Frozen struct {
	Live, Snapshot snapshot.Info
	// Mail whose ctime lies between the two may be in the snapshot without its
	// data. By the host's clock of ctimes.
	Begun, Done time.Time
	// Nested are the paths in the store at which another subvolume is, or something
	// is mounted, where a folder or mail could be: a snapshot does not hold what is in
	// them, and a send stream does not even tell that a subvolume is there. NestedMore
	// is how many more there are.
	Nested     []string `json:",omitempty"`
	NestedMore int      `json:",omitempty"`
}

// A Batch is a list of steps that belong together.
type Batch struct {
	// Snapshot is where the steps' files were seen.
	Snapshot string
	Steps    []Step
	// Unlock names folders whose locks a killed run of this host may have left.
	Unlock []string
	// Sync: when Apply returns, all that was ever done is durable.
	Sync bool
}

// A Step is an operation and what it was planned from.
type Step struct {
	Op apply.Op
	// Seen is the file, or for folders the folder, as the batch's snapshot shows
	// it: Folder, New and Name count. The host takes inode and link count from there:
	// elsewhere a received copy was looked at. nil: Op.From is complete.
	Seen *tree.File
	// OwnLinks are names that earlier steps of the sync have given the file; below
	// 0 they have taken some.
	OwnLinks int64
	// AnyLinks: that it has got another name by somebody is no obstacle.
	AnyLinks bool
}

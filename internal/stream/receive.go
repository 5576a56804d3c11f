package stream

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"snapmerge/snapshot"
)

// ReceiveOptions tell [Receive] what it works on.
type ReceiveOptions struct {
	Root       *os.File      // of the mirror: an empty subvolume, or a writable snapshot of Parent
	Parent     *os.File      // of the mirror that the increment leads from; nil: a full stream is expected
	UUID       snapshot.UUID // of online's snapshot that is sent
	ParentUUID snapshot.UUID // of online's snapshot that Parent was received from
	Limits     ReceiveLimits
	Applied    io.Writer // gets the filtered form of the stream; nil: nobody wants it
}

// ReceiveStats tell what a stream was.
type ReceiveStats struct {
	Bytes    int64 // of the stream
	Commands int   // of the stream, without its end
	Data     int64 // bytes of files written or cloned, holes counted
	Refused  int   // files that were refused
}

// Receive carries out a stream below the root of a mirror, which nobody else
// writes to. It does not trust the stream: the mirror gets directories of mode 0700
// and regular files of mode 0600, its owner's; nothing outside it is opened but
// the sources of clones below the parent mirror; owners, modes and extended
// attributes are not taken over. The mtime is that of the stream, to the
// nanosecond, and a file's atime is the stream's *ctime*: when online changed
// the file last can be read there, as no file system lets its own ctime be set.
//
// What can not be mail is refused and not an error: in place of a symbolic link,
// device, FIFO or socket, and of a file that is or grows larger than
// Limits.Message, there is an empty file of mode 0 with the reason in its extended
// attribute [RefusedXattr]. Later commands, also of later increments, move and
// remove it as they do others; what would fill it is dropped.
//
// Applied gets the stream as it was carried out, in the same format, so that
// [Tracker] and [Changes] can follow it: update_extent in place of data, mkfile
// for what was refused, and nothing that is not taken over. Of a full stream it
// gets the first command and the end only: who has no parent has to look at all
// of the mirror anyway. The end is written when everything is done.
//
// Errors: [ErrMismatch], [ErrLimit], [ErrLocal], io.ErrUnexpectedEOF; see there.
// After an error the mirror is half done and of no use. Data is not synced.
func Receive(in io.Reader, o ReceiveOptions) (ReceiveStats, error) {
	r := newReceiver(o)
	defer r.close()
	err := r.run(in)
	return r.stats, withKey(err)
}

// A receiver is a Receive. It knows files by their inode in track, so what is
// open stays the right one when names change.
type receiver struct {
	ReceiveOptions
	root   int // Root's descriptor
	limits ReceiveLimits
	track  *Tracker
	out    filter
	dirs   handles
	times  map[*node]*[2]unix.Timespec // of directories; set at the end, as each entry that comes or goes changes them
	made   int
	stats  ReceiveStats

	// A file that mkfile made is on disk only when the next command is there: it
	// nearly always is the rename to the final name, and making it under that name
	// saves a third of the time.
	pending     *inode
	pendingPath string

	file openFile
}

func newReceiver(o ReceiveOptions) *receiver {
	r := &receiver{ReceiveOptions: o, root: int(o.Root.Fd()), limits: o.Limits.orDefault(), times: map[*node]*[2]unix.Timespec{}}
	r.track = NewTracker(r.limits.Stream())
	r.out.w = o.Applied
	r.file.fd = -1
	return r
}

func (r *receiver) close() {
	r.closeFile()
	r.dirs.close()
}

func (r *receiver) run(in io.Reader) error {
	d := NewDecoder(in, r.limits.Stream())
	for {
		c, err := d.Next()
		r.stats.Bytes = d.Offset()
		if err == io.EOF {
			return r.finish()
		}
		if err != nil {
			return err
		}
		if err := r.apply(c); err != nil {
			return fmt.Errorf("receive: %s %q: %w", c.Op, c.Path, err)
		}
		r.stats.Commands++
	}
}

func (r *receiver) apply(c Command) error {
	if c.Op == Subvol || c.Op == Snapshot {
		return errors.Join(r.begin(c), r.track.apply(c))
	}
	if err := r.checkDepth(c); err != nil {
		return err
	}
	if r.pending != nil && (c.Op != Rename || c.Path != r.pendingPath) {
		if err := r.settle(); err != nil {
			return err
		}
	}
	c, err := r.carryOut(c)
	if err != nil {
		return err
	}
	return r.out.add(c)
}

// begin checks that this is the stream that was asked for. A snapshot command
// names its parent: any subvolume of this host, if the sender likes.
func (r *receiver) begin(c Command) error {
	switch {
	case c.Op == Subvol && r.Parent != nil:
		return errors.New("a full stream, where an increment was asked for")
	case c.Op == Snapshot && r.Parent == nil:
		return errors.New("an increment, where a full stream was asked for")
	case c.UUID != r.UUID:
		return fmt.Errorf("stream of snapshot %s, where %s was asked for", c.UUID, r.UUID)
	case c.Op == Snapshot && c.ParentUUID != r.ParentUUID:
		return fmt.Errorf("increment of snapshot %s, where one of %s was asked for", c.ParentUUID, r.ParentUUID)
	}
	if c.Op == Snapshot {
		// New files pass through the root under their first names: its times are those
		// of the parent if the stream tells no others.
		var st unix.Stat_t
		if err := unix.Fstat(r.root, &st); err != nil {
			return r.onDisk(err)
		}
		r.times[r.track.root] = &[2]unix.Timespec{st.Atim, st.Mtim}
	}
	return r.out.begin(c)
}

func (r *receiver) checkDepth(c Command) error {
	n := strings.Count(c.Path, "/")
	if c.Op != Symlink {
		n = max(n, strings.Count(c.To, "/"))
	}
	if n >= r.limits.Depth {
		return overLimit("", "path of more than %d names", r.limits.Depth)
	}
	return nil
}

// carryOut does a command, and returns it as what it was done as.
func (r *receiver) carryOut(c Command) (Command, error) {
	switch c.Op {
	case Mkfile, Mkdir:
		return c, r.make(c)
	case Mknod, Mkfifo, Mksock, Symlink:
		why := specialFile(c)
		c = Command{Op: Mkfile, Path: c.Path, Ino: c.Ino}
		return c, r.makeRefused(c, why)
	case Rename:
		return c, r.rename(c)
	case Link:
		return c, r.link(c)
	case Unlink, Rmdir:
		return c, r.remove(c)
	case Write, Clone, Truncate:
		return c, r.change(c)
	case Utimes:
		return c, r.utimes(c)
	case UpdateExtent:
		return c, errors.New("a stream without the files' data")
	}
	return c, r.track.apply(c) // dropped, but it must make sense
}

// finish does what waits for the end.
func (r *receiver) finish() error {
	if r.pending != nil {
		if err := r.settle(); err != nil {
			return fmt.Errorf("receive: end: %w", err)
		}
	}
	r.closeFile()
	for n, times := range r.times {
		if err := r.setDirTimes(n, times); err != nil {
			return fmt.Errorf("receive: times of %q: %w", n.path(), err)
		}
	}
	if err := r.out.end(); err != nil {
		return fmt.Errorf("receive: end: %w", err)
	}
	return nil
}

// onDisk says what a failed system call means. Tracker has held the stream to
// itself, so a name that is not there, or is, is one of the parent mirror.
func (r *receiver) onDisk(err error) error {
	var errno unix.Errno
	if err == nil || !errors.As(err, &errno) {
		return err
	}
	switch errno {
	case unix.ENOENT, unix.EEXIST, unix.ENOTDIR, unix.EISDIR, unix.ENOTEMPTY, unix.ELOOP, unix.EXDEV:
		if r.Parent != nil {
			return fmt.Errorf("%w: %w", ErrMismatch, err)
		}
		return err
	case unix.EINVAL, unix.EFBIG, unix.EMLINK, unix.ENAMETOOLONG:
		return err
	}
	return fmt.Errorf("%w: %w", ErrLocal, err)
}

package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"snapmerge/snapshot"
)

// An Op is what a command does; its number is that of enum btrfs_send_cmd
// (fs/btrfs/send.h).
type Op uint16

// The commands of protocol 1.
const (
	Subvol       Op = 1 + iota // begins a full stream: Path (a name), UUID, Transid
	Snapshot                   // begins an incremental one: as Subvol; ParentUUID, ParentTransid
	Mkfile                     // Path, Ino
	Mkdir                      // Path, Ino
	Mknod                      // Path, Ino, Mode, Rdev
	Mkfifo                     // Path, Ino, Mode, Rdev
	Mksock                     // Path, Ino, Mode, Rdev
	Symlink                    // Path, Ino, To: what the link says
	Rename                     // Path, To: the new path
	Link                       // Path: the new name, To: an existing one
	Unlink                     // Path
	Rmdir                      // Path
	SetXattr                   // Path, Xattr, Data
	RemoveXattr                // Path, Xattr
	Write                      // Path, Offset, Data
	Clone                      // Path, Offset, Size, ParentUUID, ParentTransid, To: the source, FromOffset
	Truncate                   // Path, Size
	Chmod                      // Path, Mode
	Chown                      // Path, UID, GID
	Utimes                     // Path, Atime, Mtime, Ctime
	End                        // closes the stream; Next does not return it
	UpdateExtent               // Path, Offset, Size: a Write without its data
)

// A Command is one command of a stream; its Op tells which fields it has. Paths
// are relative to the subvolume's root as it is at that point of the stream,
// with "/" between names, "" for the root itself; they are checked, see
// [Decoder]. What exists under them is for others to know.
type Command struct {
	Op   Op
	Path string
	To   string

	Ino           uint64
	UUID          snapshot.UUID
	Transid       uint64
	ParentUUID    snapshot.UUID // of a Clone: of the source's subvolume
	ParentTransid uint64
	Offset        uint64 // bytes, in the file
	FromOffset    uint64 // bytes, in the source of a Clone
	Size          uint64 // bytes: of the file (Truncate), of the part (Clone, UpdateExtent)
	Mode          uint64 // st_mode: type and permissions (Mknod and its like), permissions (Chmod)
	Rdev          uint64
	UID, GID      uint64
	Atime         Time
	Mtime         Time
	Ctime         Time
	Xattr         string
	Data          []byte // until the next call of Next only
}

// A Time is what a stream says of a file's times: seconds since the epoch, any
// number of them, and nanoseconds below a second.
type Time struct {
	Sec  int64
	Nsec uint32
}

// An attr is the type of an attribute, enum of BTRFS_SEND_A_* (fs/btrfs/send.h).
type attr uint16

const (
	aUUID attr = 1 + iota
	aTransid
	aIno
	aSize
	aMode
	aUID
	aGID
	aRdev
	aCtime
	aMtime
	aAtime
	aOtime // of protocol 2
	aXattrName
	aXattrData
	aPath
	aPathTo
	aPathLink
	aOffset
	aData
	aCloneUUID
	aCloneTransid
	aClonePath
	aCloneOffset
	aCloneLen
	attrEnd
)

var attrNames = [attrEnd]string{"", "uuid", "transid", "ino", "size", "mode", "uid", "gid", "rdev", "ctime",
	"mtime", "atime", "otime", "xattr_name", "xattr_data", "path", "path_to", "path_link", "offset", "data",
	"clone_uuid", "clone_transid", "clone_path", "clone_offset", "clone_len"}

func (a attr) String() string {
	if a < attrEnd && a > 0 {
		return attrNames[a]
	}
	return fmt.Sprintf("attribute %d", uint16(a))
}

// attrs is a set of attributes.
type attrs uint32

func setOf(list ...attr) (s attrs) {
	for _, a := range list {
		s |= 1 << a
	}
	return s
}

// commands are the names and attributes of all commands, as fs/btrfs/send.c
// writes them: no more and no fewer.
var commands = [...]struct {
	name  string
	attrs attrs
}{
	Subvol:       {"subvol", setOf(aPath, aUUID, aTransid)},
	Snapshot:     {"snapshot", setOf(aPath, aUUID, aTransid, aCloneUUID, aCloneTransid)},
	Mkfile:       {"mkfile", setOf(aPath, aIno)},
	Mkdir:        {"mkdir", setOf(aPath, aIno)},
	Mknod:        {"mknod", setOf(aPath, aIno, aRdev, aMode)},
	Mkfifo:       {"mkfifo", setOf(aPath, aIno, aRdev, aMode)},
	Mksock:       {"mksock", setOf(aPath, aIno, aRdev, aMode)},
	Symlink:      {"symlink", setOf(aPath, aIno, aPathLink)},
	Rename:       {"rename", setOf(aPath, aPathTo)},
	Link:         {"link", setOf(aPath, aPathLink)},
	Unlink:       {"unlink", setOf(aPath)},
	Rmdir:        {"rmdir", setOf(aPath)},
	SetXattr:     {"set_xattr", setOf(aPath, aXattrName, aXattrData)},
	RemoveXattr:  {"remove_xattr", setOf(aPath, aXattrName)},
	Write:        {"write", setOf(aPath, aOffset, aData)},
	Clone:        {"clone", setOf(aPath, aOffset, aCloneLen, aCloneUUID, aCloneTransid, aClonePath, aCloneOffset)},
	Truncate:     {"truncate", setOf(aPath, aSize)},
	Chmod:        {"chmod", setOf(aPath, aMode)},
	Chown:        {"chown", setOf(aPath, aUID, aGID)},
	Utimes:       {"utimes", setOf(aPath, aAtime, aMtime, aCtime)},
	End:          {"end", 0},
	UpdateExtent: {"update_extent", setOf(aPath, aOffset, aSize)},
}

// String returns the name that "btrfs receive --dump" prints.
func (o Op) String() string {
	if int(o) < len(commands) && o > 0 {
		return commands[o].name
	}
	return fmt.Sprintf("command %d", uint16(o))
}

// takesRoot reports whether the command can speak of the root. It is never made,
// named or removed by a stream, but has owner, mode, times and attributes.
func (o Op) takesRoot() bool {
	return o == Chmod || o == Chown || o == Utimes || o == SetXattr || o == RemoveXattr
}

var errSize = errors.New("wrong size")

// set takes over an attribute's value.
func (c *Command) set(a attr, v []byte) error {
	switch a {
	case aPath:
		return c.setPath(string(v))
	case aPathTo, aClonePath:
		c.To = string(v)
		return checkPath(c.To)
	case aPathLink:
		c.To = string(v)
		if c.Op == Symlink {
			return checkTarget(c.To)
		}
		return checkPath(c.To)
	case aUUID:
		return setUUID(&c.UUID, v)
	case aCloneUUID:
		return setUUID(&c.ParentUUID, v)
	case aXattrName:
		c.Xattr = string(v)
		return checkName(c.Xattr)
	case aXattrData, aData:
		c.Data = v
		return nil
	case aAtime:
		return setTime(&c.Atime, v)
	case aMtime:
		return setTime(&c.Mtime, v)
	case aCtime:
		return setTime(&c.Ctime, v)
	}
	return setNumber(c.number(a), v)
}

func (c *Command) setPath(p string) error {
	c.Path = p
	switch {
	case c.Op == Subvol || c.Op == Snapshot:
		return checkName(p) // of the snapshot, without its directory
	case p == "" && c.Op.takesRoot():
		return nil
	}
	return checkPath(p)
}

// number returns where a number belongs.
func (c *Command) number(a attr) *uint64 {
	switch a {
	case aTransid:
		return &c.Transid
	case aIno:
		return &c.Ino
	case aSize, aCloneLen:
		return &c.Size
	case aMode:
		return &c.Mode
	case aUID:
		return &c.UID
	case aGID:
		return &c.GID
	case aRdev:
		return &c.Rdev
	case aOffset:
		return &c.Offset
	case aCloneTransid:
		return &c.ParentTransid
	}
	return &c.FromOffset // aCloneOffset; no command has aOtime
}

func setNumber(to *uint64, v []byte) error {
	if len(v) != 8 {
		return errSize
	}
	*to = binary.LittleEndian.Uint64(v)
	return nil
}

func setUUID(to *snapshot.UUID, v []byte) error {
	if len(v) != len(to) {
		return errSize
	}
	copy(to[:], v)
	return nil
}

// setTime reads a struct btrfs_timespec.
func setTime(to *Time, v []byte) error {
	if len(v) != 12 {
		return errSize
	}
	to.Sec, to.Nsec = int64(binary.LittleEndian.Uint64(v)), binary.LittleEndian.Uint32(v[8:])
	if to.Nsec >= 1e9 {
		return fmt.Errorf("%d nanoseconds", to.Nsec)
	}
	return nil
}

const (
	nameMax = 255  // NAME_MAX and XATTR_NAME_MAX
	pathMax = 4096 // PATH_MAX, with the NUL
)

// checkPath holds a path to what can be a file below the root, so that nobody
// after it has to think of "..".
func checkPath(p string) error {
	if len(p) >= pathMax {
		return fmt.Errorf("path of %d bytes", len(p))
	}
	for name := range strings.SplitSeq(p, "/") {
		if err := checkName(name); err != nil {
			return fmt.Errorf("path %q: %w", p, err)
		}
	}
	return nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("empty name")
	case name == "." || name == "..":
		return fmt.Errorf("name %q", name)
	case len(name) > nameMax:
		return fmt.Errorf("name of %d bytes", len(name))
	case strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("name %q holds a slash or NUL", name)
	}
	return nil
}

// checkTarget looks at what a symbolic link says. It can say anything.
func checkTarget(s string) error {
	if s == "" || len(s) >= pathMax || strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("symbolic link to %q", s[:min(len(s), math.MaxUint8)])
	}
	return nil
}

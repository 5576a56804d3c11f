package mirror

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"snapmerge/internal/stream"
)

// TestHostileTable: streams of which each is a trick. want is a part of the error,
// "" if it is harmless, is the error's kind; look says what the new mirror holds:
// "PATH=CONTENT", "PATH!REASON" for what is refused, "-PATH" for what is not there.
func TestHostileTable(t *testing.T) {
	v := newVictim(t)
	deep := strings.Repeat("d/", 19)
	for _, c := range []struct {
		what   string
		full   bool
		stream any // a script, or bytes
		want   string
		is     error
		look   string
	}{
		// Paths.
		{"..", false, "mkfile ../x 300", "name \"..\"", ErrStream, ""},
		{".. below", false, "mkfile cur/../../x 300", "name \"..\"", ErrStream, ""},
		{"absolute", false, "mkfile /x 300", "empty name", ErrStream, ""},
		{"rename to ..", false, "mkfile a 300; rename a ../a", "name \"..\"", ErrStream, ""},
		{"rename of ..", false, "rename .. a", "name \"..\"", ErrStream, ""},
		{"link to ..", false, "link a ../live/secret", "name \"..\"", ErrStream, ""},
		{"link to an absolute path", false, "link a /etc/passwd", "empty name", ErrStream, ""},
		{"unlink of ..", false, "unlink ../record.toml", "name \"..\"", ErrStream, ""},
		{"rmdir of .", false, "rmdir .", "name \".\"", ErrStream, ""},
		{"write to ..", false, "write ../record.toml 0 x", "name \"..\"", ErrStream, ""},
		{"times of ..", false, "utimes .. 0", "name \"..\"", ErrStream, ""},
		{"mode of ..", false, "chmod .. 0777", "name \"..\"", ErrStream, ""},
		{"NUL", false, "mkfile a\x00b 300", "slash or NUL", ErrStream, ""},
		{"a name of 256 bytes", false, "mkfile " + strings.Repeat("n", 256) + " 300", "256 bytes", ErrStream, ""},
		{"a path of 5000 bytes", false, "mkfile " + strings.Repeat("a/", 2499) + "bb 300", "path of 5000", ErrStream, ""},
		{"a name that makes a terminal blink", false, "unlink \x1b[5mnothing", `\x1b[5m`, ErrMismatch, ""},
		{"the root as a file", false, "mkfile / 300", "empty name", ErrStream, ""},
		{"a trailing slash", false, "mkfile a/ 300", "empty name", ErrStream, ""},

		// Links into the store, and out of the mirror.
		{"write through a symbolic link", false, "symlink l 300 /etc/passwd; write l 0 root", "", nil, "l!symbolic link"},
		{"make below a symbolic link", false, "symlink l 300 ..; mkfile l/x 301", "a file is used as a directory", ErrStream, ""},
		{"make below one of the parent", false, "mkfile link/x 300", "open directory", ErrMismatch, ""},
		{"a link to a symbolic link", false, "symlink l 300 ../live/secret; link m l; write m 0 x", "", nil, "l!symbolic link m!symbolic link"},
		{"truncate through a symbolic link", false, "symlink l 300 ../record.toml; truncate l 0", "", nil, "l!symbolic link"},
		{"clone from a symbolic link", false, "symlink l 300 ../record.toml; mkfile a 301; clone a 0 5 self l 0", "", nil, "a!made from a file that was refused"},
		{"a symbolic link in place of cur", false, "rename cur c; symlink cur 300 /tmp; mkfile cur/x 301", "a file is used as a directory", ErrStream, ""},
		{"times of a symbolic link", false, "symlink l 300 /etc/passwd; utimes l 1", "", nil, "l!symbolic link"},

		// What can not be mail.
		{"a device", false, "mknod d 300", "", nil, "d!device"},
		{"a FIFO that is written to", false, "mkfifo f 300; write f 0 x", "", nil, "f!FIFO"},
		{"a socket", false, "mksock s 300; rename s cur/s", "", nil, "cur/s!socket -s"},
		{"setuid", false, "mkfile a 300; write a 0 x; chmod a 04755; chown a 1000", "", nil, "a=x"},
		{"a capability", false, "mkfile a 300; setxattr a security.capability x; setxattr a trusted.x y; setxattr / system.posix_acl_default z", "", nil, "a="},
		{"our own attribute", false, "mkfile a 300; setxattr a user.snapmerge.refused lies; write a 0 x", "", nil, "a=x"},
		{"our own attribute removed", false, "rmxattr link user.snapmerge.refused; write link 0 x", "", nil, "link!symbolic link"},
		{"mode of a refused file", false, "chmod link 0644; write link 0 x", "", nil, "link!symbolic link"},

		// What was refused before.
		{"write to it", false, "write link 0 x; write big 0 x", "", nil, "link!symbolic link big!larger than the limit of 1000 bytes"},
		{"truncate it", false, "truncate big 5; utimes big 3", "", nil, "big!larger than the limit of 1000 bytes"},
		{"clone onto it", false, "clone link 0 8 parent cur/old 0", "", nil, "link!symbolic link"},
		{"clone from it", false, "mkfile a 300; clone a 0 1 parent big 0", "", nil, "a!made from a file that was refused"},
		{"rename onto it", false, "mkfile a 300; rename a link", "file exists", ErrMismatch, ""},
		{"link onto it", false, "link link cur/old", "file exists", ErrMismatch, ""},
		{"make it again", false, "mkfile link 300", "file exists", ErrMismatch, ""},
		{"move, link and remove it", false, "rename link cur/l; link m cur/l; unlink cur/l; unlink big", "", nil, "m!symbolic link -link -cur/l -big"},

		// Sizes.
		{"a write beyond the limit", false, "mkfile a 300; write a 999 xx", "", nil, "a!larger than the limit of 1000 bytes"},
		{"a write at 2^62", false, "mkfile a 300; write a 0x4000000000000000 x", "", nil, "a!larger than the limit of 1000 bytes"},
		{"a write that wraps around", false, "mkfile a 300; write a 0xffffffffffffffff xx", "", nil, "a!larger than the limit of 1000 bytes"},
		{"truncate to 2^64-1", false, "mkfile a 300; truncate a 0xffffffffffffffff", "", nil, "a!larger than the limit of 1000 bytes"},
		{"truncate to 2^63", false, "truncate cur/old 0x8000000000000000", "", nil, "cur/old!larger than the limit of 1000 bytes"},
		{"a clone that wraps around", false, "mkfile a 300; clone a 0xfffffffffffffffc 8 parent cur/old 0", "", nil, "a!larger than the limit of 1000 bytes"},
		{"a clone to 2^62", false, "mkfile a 300; clone a 0x4000000000000000 8 parent cur/old 0", "", nil, "a!larger than the limit of 1000 bytes"},
		{"exactly the limit", false, "mkfile a 300; truncate a 1000; truncate a 3; write a 0 abc", "", nil, "a=abc"},
		{"holes that add up", false, holes(1100), "raise receive in", ErrLimit, ""},
		{"clones that add up", false, "mkfile s 300; truncate s 1000; mkfile a 301; " + strings.Repeat("clone a 0 1000 self s 0; ", 1100), "raise receive in", ErrLimit, ""},
		{"a stream that is too long", false, "mkfile a 300; " + strings.Repeat("write a 0 "+strings.Repeat("x", 900)+"; ", 1200), "more than 1048576 bytes; if this is right, raise receive in", ErrLimit, ""},
		{"no data", false, "mkfile a 300; extent a 0 8", "without the files' data", ErrStream, ""},

		// Clones.
		{"from another subvolume", false, "mkfile a 300; clone a 0 6 other secret 0", "neither the snapshot nor its parent", ErrStream, ""},
		{"from nobody's", false, "mkfile a 300; clone a 0 6 none secret 0", "neither the snapshot nor its parent", ErrStream, ""},
		{"from the parent of a full stream", true, "mkfile a 300; clone a 0 6 parent cur/old 0", "neither the snapshot nor its parent", ErrStream, ""},
		{"from ..", false, "mkfile a 300; clone a 0 6 self ../../live/secret 0", "name \"..\"", ErrStream, ""},
		{"from .. of the parent", false, "mkfile a 300; clone a 0 6 parent ../record.toml 0", "name \"..\"", ErrStream, ""},
		{"from a directory", false, "mkfile a 300; clone a 0 6 parent cur 0", "no regular file", ErrStream, ""},
		{"from nothing", false, "mkfile a 300; clone a 0 6 parent cur/nothing 0", "no such file", ErrMismatch, ""},
		{"from beyond the end", false, "mkfile a 300; clone a 0 9 parent cur/old 0", "has 8 bytes", ErrStream, ""},
		{"from far beyond the end", false, "mkfile a 300; clone a 0 8 parent cur/old 0xffffffffffffffff", "has 8 bytes", ErrStream, ""},
		{"not at a block", false, "mkfile a 300; write a 0 xxxxx; clone a 1 3 parent cur/old 4", "", nil, "a=xmaix"},
		{"from itself", false, "mkfile a 300; write a 0 abcd; clone a 2 2 self a 0", "", nil, "a=abab"},
		{"a clone of nothing", false, "mkfile a 300; clone a 9 0 parent cur/old 0", "", nil, "a="},
		{"onto a directory", false, "clone cur 0 8 parent cur/old 0", "no regular file", ErrMismatch, ""},

		// Another stream than was asked for.
		{"an increment of another snapshot", false, encode(with(increment, func(c *stream.Command) { c.ParentUUID = otherUUID })), "where one of", ErrStream, ""},
		{"of no snapshot", false, encode(with(increment, func(c *stream.Command) { c.ParentUUID = [16]byte{} })), "where one of", ErrStream, ""},
		{"to another snapshot", false, encode(with(increment, func(c *stream.Command) { c.UUID = otherUUID })), "was asked for", ErrStream, ""},
		{"a full stream of another snapshot", true, encode(with(full, func(c *stream.Command) { c.UUID = otherUUID })), "was asked for", ErrStream, ""},
		{"a full stream for an increment", false, encode(full), "a full stream", ErrStream, ""},
		{"an increment for a full stream", true, encode(increment), "an increment", ErrStream, ""},
		{"two subvolumes", false, encode(increment, increment), "second subvolume", ErrStream, ""},
		{"a full stream behind", false, join(encode(increment), encode(full)), "data after the end", ErrStream, ""},
		{"a byte behind", false, append(encode(increment), 0), "data after the end", ErrStream, ""},
		{"no stream", false, []byte(strings.Repeat("mail ", 100)), "not a btrfs send stream", ErrStream, ""},
		{"no command before", false, join(stream.AppendHeader(nil), raw(stream.End)), "no subvol or snapshot", ErrStream, ""},
		{"a name with a slash", false, encode(with(increment, func(c *stream.Command) { c.Path = "../live" })), "slash", ErrStream, ""},
		{"the name of another snapshot", false, encode(with(increment, func(c *stream.Command) { c.Path = "offline.0" })), "", nil, "cur/old=old-mail"},

		// Names that do not fit.
		{"make what is there", false, "mkfile cur/old 300", "file exists", ErrMismatch, "cur/old=old-mail"},
		{"make a directory that is there", false, "mkdir cur 300", "file exists", ErrMismatch, ""},
		{"remove what is not there", false, "unlink cur/nothing", "no such file", ErrMismatch, ""},
		{"unlink a directory", false, "unlink cur", "is a directory", ErrMismatch, ""},
		{"rmdir of a file", false, "rmdir cur/old", "not a directory", ErrMismatch, ""},
		{"rmdir of a full directory", false, "rmdir cur", "not empty", ErrMismatch, ""},
		{"link to a directory", false, "link c cur", "is a directory", ErrMismatch, ""},
		{"rename into itself", false, "rename sub sub/dir/x", "taken it away", ErrStream, ""},
		{"rename over a file", false, "mkfile a 300; rename a cur/old", "file exists", ErrMismatch, ""},
		{"rename a file of the parent over another", false, "rename cur/old sub/file", "file exists", ErrMismatch, ""},
		{"rename a directory over another", false, "rename new sub/dir", "file exists", ErrMismatch, ""},
		{"rename over a made file", false, "mkfile a 300; mkfile b 301; rename a b", "something of that name", ErrStream, ""},
		{"a file used as a directory", false, "mkfile cur/old/x 300", "open directory", ErrMismatch, ""},
		{"a directory used as a file", false, "mkdir d 300; write d 0 x", "a directory is used as a file", ErrStream, ""},
		{"use what was removed", false, "unlink cur/old; write cur/old 0 x", "taken it away", ErrStream, ""},
		{"an inode number of the root", false, "mkfile a 256", "inode number 256", ErrStream, ""},
		{"full: use what never was", true, "unlink cur/old", "never made it", ErrStream, ""},
		{"full: below what never was", true, "mkfile cur/old 300", "never made it", ErrStream, ""},
		{"a first name that is never changed", false, "mkfile o300-1-0 300; write o300-1-0 0 x", "", nil, "o300-1-0=x"},
		{"made, moved and removed", false, "mkfile a 300; rename a b; write b 0 x; unlink b; mkfile b 301; rename b c", "", nil, "-a -b c="},
		{"two names, one removed, then written", false, "mkfile a 300; rename a b; link c b; unlink b; write c 0 x", "", nil, "-b c=x"},

		// Floods.
		{"files", false, flood("mkfile f%d 300; rename f%d g%d; ", 301), "raise messages in", ErrLimit, ""},
		{"directories", false, flood("mkdir f%d 300; rename f%d g%d; ", 301), "raise messages in", ErrLimit, ""},
		{"symbolic links", true, flood("symlink f%d 300 x; rename f%d g%d; ", 301), "raise messages in", ErrLimit, ""},
		{"files without a final name", false, flood("mkfile f%d 300; ", 101), "without their final name", ErrLimit, ""},
		{"made and removed", false, flood("mkfile f%d 300; unlink f%d; ", 301), "raise messages in", ErrLimit, ""},
		{"links", false, flood("link cur/l%d cur/old; ", 2000), "", nil, "cur/l1999=old-mail"},
		{"more directories than a process may have open", false, flood("mkdir o%d 300; rename o%d d%d; mkfile p 300; rename p d%d/f; ", 145) + "write d3/f 0 x", "", nil, "d3/f=x d144/f="},
		{"empty attributes", false, join(noEnd(increment), raw(stream.Mkfile, repeat(15, "", 15000)...)), "empty name", ErrStream, ""},
		{"unknown attributes", false, join(stream.AppendHeader(nil), raw(stream.Subvol, repeat(99, "", 100)...)), "does not belong", ErrStream, ""},
		{"a length of 4 GiB", false, append(stream.AppendHeader(nil), "\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00"...), "4294967295 bytes", ErrStream, ""},
		{"times again and again", false, strings.Repeat("utimes cur 5; utimes cur/old 5; ", 3000), "", nil, "cur/old=old-mail"},

		// Depth.
		{"as deep as is allowed", false, nest(19) + "mkfile " + deep + "x 300", "", nil, deep + "x="},
		{"deeper", false, nest(20) + "mkdir " + deep + "d/d 300", "more than 20 names", ErrLimit, ""},
		{"deeper by renames", false, towers(10), "", nil, ""},

		// Times.
		{"times at the ends of time", false, "utimes cur/old 0x7fffffffffffffff; utimes cur 0x8000000000000000; mkfile a 300; utimes a 0xffffffffffffffff", "", nil, "a="},
	} {
		t.Run(strings.ReplaceAll(c.what, "/", "|"), func(t *testing.T) {
			v.t = t
			first := increment
			if c.full {
				first = full
			}
			b, ok := c.stream.([]byte)
			if !ok {
				b = script(t, first, c.stream.(string))
			}
			err := v.attack(b, !c.full, func(root string) { checkLook(t, root, c.look) })
			if (err == nil) != (c.is == nil) || !errors.Is(err, c.is) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v\nwant  %q (%v)", err, c.want, c.is)
			}
		})
	}
}

func checkLook(t *testing.T, root, look string) {
	t.Helper()
	for at := 0; at < len(look); {
		// A reason has spaces: a word without "=", "!" and "-" belongs to the one before.
		end := at + 1
		for end < len(look) && !(look[end-1] == ' ' && isFact(look[end:])) {
			end++
		}
		fact := strings.TrimSpace(look[at:end])
		at = end
		switch name, rest, found := cutAny(fact); {
		case strings.HasPrefix(fact, "-"):
			if _, err := os.Lstat(filepath.Join(root, fact[1:])); !errors.Is(err, unix.ENOENT) {
				t.Errorf("%s: %v", fact, err)
			}
		case found == '=':
			if b, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(b) != rest {
				t.Errorf("%s holds %q, want %q: %v", name, b, rest, err)
			}
		default:
			why := make([]byte, 100)
			n, err := unix.Lgetxattr(filepath.Join(root, name), stream.RefusedXattr, why)
			if err != nil || string(why[:n]) != rest {
				t.Errorf("%s is refused as %q, want %q: %v", name, why[:max(n, 0)], rest, err)
			}
		}
	}
}

func isFact(s string) bool {
	word, _, _ := strings.Cut(s, " ")
	return strings.ContainsAny(word, "=!") || strings.HasPrefix(word, "-")
}

func cutAny(fact string) (name, rest string, sep byte) {
	if i := strings.IndexAny(fact, "=!"); i >= 0 {
		return fact[:i], fact[i+1:], fact[i]
	}
	return fact, "", 0
}

func with(c stream.Command, change func(*stream.Command)) stream.Command {
	change(&c)
	return c
}

// flood repeats commands about numbered names.
func flood(format string, n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(format, "%d", fmt.Sprint(i)))
	}
	return b.String()
}

func holes(n int) string {
	return "mkfile a 300; " + strings.Repeat("truncate a 1000; truncate a 0; ", n)
}

func nest(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "mkdir %sd %d; ", strings.Repeat("d/", i), 1000+i)
	}
	return b.String()
}

// towers puts directories of 9 levels below each other: more levels than a path of
// a command may have, of which each was made by a short path.
func towers(n int) string {
	var b strings.Builder
	for i := range n {
		p := fmt.Sprint("t", i)
		fmt.Fprintf(&b, "mkdir %s 1000; ", p)
		for range 8 {
			p += "/d"
			fmt.Fprintf(&b, "mkdir %s 1000; ", p)
		}
		if i > 0 {
			fmt.Fprintf(&b, "rename t%d %s/t; ", i-1, p)
		}
	}
	return b.String()
}

func repeat(a int, v string, n int) (list []any) {
	for range n {
		list = append(list, a, v)
	}
	return list
}

package tree

import (
	"fmt"
	"os"
	"path"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// RefusedXattr marks a placeholder: where whoever receives a mirror refuses an
// entry (a symbolic link, a mail too long), it leaves a regular file of mode 0000
// with this attribute, whose value says why. A placeholder is Refused with that
// text: its name is taken, but there is no mail and no directory to read.
//
// A file of mode 0000 without the attribute is mail as any other.
const RefusedXattr = "user.snapmerge.refused"

const (
	// maxXattr is the kernel's XATTR_SIZE_MAX: a value of any length can be read.
	maxXattr = 64 << 10
	// maxWhy bounds in bytes what is shown of one; a mirror's maker has less to say.
	maxWhy = 200
	// unsaid stands for a value that says nothing.
	unsaid = "refused when it was received"
)

// placeholder returns why the entry of d is a placeholder, "" if it is none.
// mode is that of its stat.
func placeholder(d *os.File, name string, mode uint32) (why string, err error) {
	if mode&^unix.S_IFMT != 0 || mode&unix.S_IFMT != unix.S_IFREG {
		return "", nil
	}
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("is %q a placeholder: %w", path.Join(d.Name(), name), err)
	}
	f, err := openAt(d, name, unix.O_NONBLOCK)
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	value := make([]byte, maxXattr)
	n, err := unix.Fgetxattr(int(f.Fd()), RefusedXattr, value)
	switch err {
	case nil:
		return whyOf(string(value[:n])), nil
	case unix.ENODATA, unix.ENOTSUP: // no such attribute, no attributes at all
		return "", nil
	}
	return fail(err)
}

// whyOf makes one line of a value. Root alone makes mirrors, but anybody can set
// the attribute in a store of their own.
func whyOf(value string) string {
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, value)
	if len(clean) > maxWhy {
		clean = strings.ToValidUTF8(clean[:maxWhy-len("…")], "") + "…"
	}
	if strings.TrimSpace(clean) == "" {
		return unsaid
	}
	return clean
}

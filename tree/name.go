package tree

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A Name is a Maildir file name taken apart: unique [":2," flags letters extra].
type Name struct {
	Unique  string  // up to the first ':'; Dovecot's identity of a file inside one folder
	Flags   Flags   // A-Z
	Letters Letters // a-z
	Extra   string  // a further part after the flags, with its comma: ",foo"
}

const (
	nameMax = 255 // bytes, NAME_MAX of Linux
	info2   = ":2,"
)

// ParseName takes a file name of cur/ or new/ apart. Names are bytes: what
// stands in the unique part is nobody's business but its writer's (maildir(5)).
//
// Only ":2," starts flags, as in maildir_filename_flags_get
// (maildir-filename-flags.c); after any other info, ":1," for one, there are
// none. Letters may come in any order and twice; other bytes among them are
// ignored there and here. A second ':' is refused: Dovecot compares names up to
// the first one but reads flags after the last one, so two such files can pass
// for one.
func ParseName(file string) (Name, error) {
	if why := nameFault(file); why != "" {
		return Name{}, fmt.Errorf("name %q: %s", file, why)
	}
	unique, info, _ := strings.Cut(file, ":")
	n := Name{Unique: unique}
	flags, ok := strings.CutPrefix(info, info2[1:])
	if !ok {
		return n, nil
	}
	if i := strings.IndexByte(flags, ','); i >= 0 {
		flags, n.Extra = flags[:i], flags[i:]
	}
	for _, c := range []byte(flags) {
		switch {
		case 'A' <= c && c <= 'Z':
			n.Flags |= 1 << (c - 'A')
		case 'a' <= c && c <= 'z':
			n.Letters |= 1 << (c - 'a')
		}
	}
	return n, nil
}

// nameFault tells why a file name can not be a message's, "" if it can.
func nameFault(file string) string {
	unique, _, _ := strings.Cut(file, ":")
	switch {
	case file == "":
		return "empty"
	case len(file) > nameMax:
		return "longer than 255 bytes"
	case file[0] == '.':
		return "begins with a dot"
	case strings.ContainsAny(file, "/\x00\r\n"):
		return "holds a slash, NUL, CR or LF"
	case strings.Count(file, ":") > 1:
		return "holds more than one colon"
	case unique == "" || unique[0] == ',':
		return "no unique part"
	case len(unique)+len(info2) > nameMax:
		// It could never be given a flag, nor be moved into cur/.
		return `no room for ":2,"`
	}
	return ""
}

// Key returns the part of the unique name before the first ','. It survives
// Dovecot's own corrections of S= and W= (maildir-mail.c:do_fix_size).
func (n Name) Key() string {
	key, _, _ := strings.Cut(n.Unique, ",")
	return key
}

// String returns the name as it is written into cur/: always with ":2,",
// letters in ASCII order.
func (n Name) String() string {
	return n.Unique + info2 + n.Flags.String() + n.Letters.String() + n.Extra
}

// Sizes returns what the name claims: s is the file's size in bytes (S=), w its
// size with every LF as CRLF (W=). -1 means that Dovecot finds none. The rules
// are those of maildir_filename_get_size (maildir-filename.c), which looks into
// the extra part too: the first field counts, and "S=" alone is 0. A number too
// big for an int64 is returned as math.MaxInt64, which no file has.
func (n Name) Sizes() (s, w int64) {
	return n.size(",S="), n.size(",W=")
}

func (n Name) size(field string) int64 {
	// The ":" ends a number of the unique part, as it does in the whole name.
	_, v, ok := strings.Cut(n.Unique+":"+n.Extra, field)
	if !ok {
		return -1
	}
	if i := strings.IndexAny(v, ",:"); i >= 0 {
		v = v[:i]
	}
	if strings.Trim(v, "0123456789") != "" {
		return -1
	}
	if v == "" {
		return 0
	}
	i, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return i
}

// WithoutSizes returns the name without S= and W=. Dovecot takes them on trust:
// a wrong S= makes FETCH fail, a wrong W= makes it rename the file and give the
// message a new UID. A name from the untrusted side whose sizes are not true is
// used without them.
func (n Name) WithoutSizes() Name {
	n.Unique = dropSizes(n.Unique)
	n.Extra = dropSizes(n.Extra)
	return n
}

func dropSizes(s string) string {
	fields := strings.Split(s, ",")
	kept := fields[:1] // the key, or nothing before the extra part's comma
	for _, f := range fields[1:] {
		if !strings.HasPrefix(f, "S=") && !strings.HasPrefix(f, "W=") {
			kept = append(kept, f)
		}
	}
	return strings.Join(kept, ",")
}

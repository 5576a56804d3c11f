package tree

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Layout tells how a store's folders are directories.
type Layout struct {
	FS   bool // LAYOUT=fs: "a/b" is a/b; else Maildir++: "a/b" is .a.b
	UTF8 bool // names are UTF-8 on disk; else modified UTF-7 (RFC 3501 5.1.3)
	// Mirror: a received copy of a store. A file's own ctime is when it was received,
	// so the sender's is kept as its access time. Folders are as in the store that it
	// is a copy of: String, Dir and Folder do not look at it.
	Mirror bool
	// Control: Dovecot's control files are in a directory elsewhere (CONTROL= of a
	// mail location). Copies of those that matter are beside the mail, under names
	// of their own, for a snapshot to hold; see Keywords and Subscriptions.
	Control bool
}

// Keywords is the name of the table of keywords in a folder's directory.
func (l Layout) Keywords() string {
	if l.Control {
		return "snapmerge-keywords"
	}
	return "dovecot-keywords"
}

// Subscriptions is the name of the list of subscribed folders in a store's root.
func (l Layout) Subscriptions() string {
	if l.Control {
		return "snapmerge-subscriptions"
	}
	return "subscriptions"
}

// maxDir bounds a folder's path below the root, in bytes: "/cur/" and a name of
// 255 bytes still fit into PATH_MAX (4096 with its NUL).
const maxDir = 4096 - 1 - len("/cur/") - nameMax

// ParseLayout reads Dovecot's name of a layout, "maildir++" or "fs".
func ParseLayout(name string) (Layout, error) {
	switch name {
	case "maildir++":
		return Layout{}, nil
	case "fs":
		return Layout{FS: true}, nil
	}
	return Layout{}, fmt.Errorf(`layout %q: neither "maildir++" nor "fs"`, name)
}

// String returns the name that ParseLayout reads.
func (l Layout) String() string {
	if l.FS {
		return "fs"
	}
	return "maildir++"
}

// Dir returns a folder's directory below the store's root, "." for INBOX. It
// fails for a name that this layout can not hold.
//
// What a layout can not write is escaped as Dovecot's listescape plugin does
// (mailbox_list_escape_name_params): a leading "~" as `\7e`, on Maildir++ a "."
// as `\2e`. A `\` is escaped, as `\5c`, only where two hex digits follow, so that
// names written without the plugin are read as they are.
func (l Layout) Dir(folder string) (string, error) {
	dir, err := l.dir(folder)
	if err != nil {
		return "", fmt.Errorf("folder %q: %w", folder, err)
	}
	return dir, nil
}

func (l Layout) dir(folder string) (string, error) {
	if err := checkFolder(folder); err != nil {
		return "", err
	}
	if folder == Inbox {
		return ".", nil
	}
	levels := strings.Split(folder, "/")
	for i, level := range levels {
		level = l.escape(level, i == 0)
		if !l.UTF8 {
			level = encodeMUTF7(level)
		}
		if err := l.checkLevel(level); err != nil {
			return "", err
		}
		levels[i] = level
	}
	if l.FS {
		return checkLength(strings.Join(levels, "/"), maxDir)
	}
	return checkLength("."+strings.Join(levels, "."), nameMax)
}

// Folder returns the logical name of a directory below the store's root. It
// fails unless Dir returns exactly this directory for it: an odd name is
// refused, never guessed at.
func (l Layout) Folder(dir string) (string, error) {
	folder, err := l.folder(dir)
	if err != nil {
		return "", fmt.Errorf("directory %q: %w", dir, err)
	}
	return folder, nil
}

func (l Layout) folder(dir string) (string, error) {
	if dir == "." {
		return Inbox, nil
	}
	sep, rest := "/", dir
	if !l.FS {
		var ok bool
		if rest, ok = strings.CutPrefix(dir, "."); !ok {
			return "", errors.New("a Maildir++ folder begins with a dot")
		}
		sep = "."
	}
	levels := strings.Split(rest, sep)
	for i, level := range levels {
		if !l.UTF8 {
			var err error
			if level, err = decodeMUTF7(level); err != nil {
				return "", err
			}
		}
		levels[i] = unescape.Replace(level)
	}
	folder := strings.Join(levels, "/")
	back, err := l.dir(folder)
	if err != nil {
		return "", err
	}
	if back != dir {
		return "", fmt.Errorf("folder %q has the directory %q", folder, back)
	}
	return folder, nil
}

// checkFolder holds a logical name to what no layout can do without. Case
// variants of INBOX are INBOX to every IMAP client (RFC 3501 5.1).
func checkFolder(folder string) error {
	if !utf8.ValidString(folder) {
		return errors.New("not UTF-8")
	}
	if strings.ContainsFunc(folder, unicode.IsControl) {
		return errors.New("holds a control character")
	}
	for i, level := range strings.Split(folder, "/") {
		switch {
		case level == "":
			return errors.New("empty level")
		case level == "." || level == "..":
			return fmt.Errorf("level %q", level)
		case i == 0 && level != Inbox && strings.EqualFold(level, Inbox):
			return errors.New("another spelling of INBOX")
		}
	}
	return nil
}

// checkLevel looks at one level as it stands on disk.
func (l Layout) checkLevel(level string) error {
	if _, err := checkLength(level, nameMax); err != nil {
		return err
	}
	if l.FS && (isMaildirDir(level) || l.ignores(level)) {
		return fmt.Errorf("level %q is no folder in this layout", level)
	}
	return nil
}

func checkLength(s string, limit int) (string, error) {
	if len(s) > limit {
		return "", fmt.Errorf("longer than %d bytes on disk", limit)
	}
	return s, nil
}

var unescape = strings.NewReplacer(`\2e`, ".", `\7e`, "~", `\5c`, `\`)

func (l Layout) escape(level string, first bool) string {
	var b strings.Builder
	for i, c := range []byte(level) {
		switch {
		case c == '.' && !l.FS:
			b.WriteString(`\2e`)
		case c == '~' && first && i == 0:
			b.WriteString(`\7e`)
		case c == '\\' && i+2 < len(level) && isHex(level[i+1]) && isHex(level[i+2]):
			b.WriteString(`\5c`)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func isMaildirDir(name string) bool { return name == "cur" || name == "new" || name == "tmp" }

// control are the names of Dovecot and its plugins beside a folder's mail; an
// index may be a directory.
var control = []string{
	"dovecot-acl", "dovecot-keywords", "dovecot-shared", "dovecot-uidlist", "dovecot-uidvalidity",
	"dovecot.index", "dovecot.list.index", "dovecot.mailbox.log",
	"maildirfolder", "maildirsize", "snapmerge-keywords", "snapmerge-subscriptions", "subscriptions", "xapian-indexes",
}

// ignores reports whether an entry of that name is never a folder. Dovecot
// renames a deleted Maildir++ folder to ..DOVECOT-TRASHED before it empties it
// (mailbox-list-maildir.c:maildir_delete_with_trash), and has ..DOVECOT-TrasH in
// mailbox-list-fs.h. In the fs layout folders and control files share a
// directory, and dotted names are Dovecot's own.
func (l Layout) ignores(name string) bool {
	if !l.FS {
		return strings.HasPrefix(name, "..DOVECOT-TRASHED") || name == "..DOVECOT-TrasH"
	}
	return strings.HasPrefix(name, ".") || slices.ContainsFunc(control, func(c string) bool {
		return name == c || strings.HasPrefix(name, c+".") || strings.HasPrefix(name, c+"-")
	})
}

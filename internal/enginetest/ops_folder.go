package enginetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func (c *client) makeOne() string {
	name := fixedFolders[c.b%len(fixedFolders)]
	if _, ok := c.sh.folders[name]; ok || c.renaming(name) {
		return ""
	}
	c.makeFolder(c.side, name)
	return "makes " + name
}

// renaming: the name is in use by a renaming that the other side has not seen,
// or below one. (With the fs layout the renamed directory takes along whatever
// folder has been made below it meanwhile; the table does not speak of that.)
func (c *client) renaming(name string) bool {
	for _, names := range c.oracle.rename {
		for from, to := range names {
			if name == from || name == to || strings.HasPrefix(name, from+"/") {
				return true
			}
		}
	}
	return false
}

// below returns a folder and those below it on a side.
func below(sh shelf, folder string) []string {
	return slices.DeleteFunc(sh.names(), func(f string) bool { return f != folder && !strings.HasPrefix(f, folder+"/") })
}

// renameFolder renames a folder with those below it, as IMAP does. Both sides
// must have them: else it is a folder that goes and one that comes.
func (c *client) renameFolder() string {
	from := c.folder()
	if _, ruled := c.oracle.folders[c.oracle.family(from)]; ruled || from == "INBOX" {
		return ""
	}
	all := below(c.sh, from)
	if !slices.Equal(all, below(c.shelves[c.side.Other()], from)) {
		return ""
	}
	for _, f := range all {
		if !c.oracle.agreed[f] || c.renaming(f) {
			return ""
		}
	}
	c.serial++
	to := fmt.Sprintf("box%d", c.serial)
	if c.a%3 == 0 {
		to = fmt.Sprintf("deep/box%d", c.serial)
	}
	s := c.stores[c.side]
	for _, f := range all {
		c.oracle.rename[c.side][f] = to + f[len(from):]
		if s.fs && f != from {
			continue
		}
		dir := s.path(to + f[len(from):])
		c.must(os.MkdirAll(filepath.Dir(dir), 0o700))
		c.must(os.Rename(s.path(f), dir))
	}
	if s.fs && strings.Contains(to, "/") {
		c.must(os.Chown(s.path("deep"), mailUID, mailUID))
	}
	return fmt.Sprintf("renames %s to %s", from, to)
}

// removeFolder removes a folder with its mail.
func (c *client) removeFolder() string {
	name := c.folder()
	if name == "INBOX" || c.oracle.folders[name].skip || c.renaming(name) {
		return ""
	}
	for _, f := range c.sh.files {
		if f.folder == name && !c.allowed(f.mail, func(ps places) { delete(ps, name) }) {
			return ""
		}
	}
	s := c.stores[c.side]
	dir := s.path(name)
	if !s.fs {
		c.must(os.RemoveAll(dir))
		return "removes " + name
	}
	entries, err := os.ReadDir(dir)
	c.must(err)
	for _, e := range entries {
		if sub := filepath.Join(dir, e.Name()); !hasCur(sub) {
			c.must(os.RemoveAll(sub))
		}
	}
	os.Remove(dir) // it stays if there are folders below
	return "removes " + name
}

func hasCur(dir string) bool {
	found := false
	filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		found = found || p != dir && d.Name() == "cur"
		return nil
	})
	return found
}

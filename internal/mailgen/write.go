package mailgen

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"snapmerge/tree"
)

// Write makes the files of the mails in the Maildir++ store root, which exists,
// with the folders that they need. Everything made belongs to uid and gid; the
// root is given to them too. It is meant for stores that nobody else touches yet.
func Write(root string, mails []Mail, uid, gid int) error {
	mails = slices.Clone(mails)
	Sort(mails)
	made := map[string]string{} // folder → directory
	for _, m := range mails {
		dir, ok := made[m.Folder]
		if !ok {
			var err error
			if dir, err = Folder(root, m.Folder, uid, gid); err != nil {
				return err
			}
			made[m.Folder] = dir
		}
		if err := m.write(dir, uid, gid); err != nil {
			return err
		}
	}
	return nil
}

// Folder makes a folder with cur/, new/ and tmp/ and returns its directory.
func Folder(root, folder string, uid, gid int) (string, error) {
	rel, err := tree.Layout{}.Dir(folder)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, rel)
	dirs := []string{dir, filepath.Join(dir, "cur"), filepath.Join(dir, "new"), filepath.Join(dir, "tmp")}
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", err
		}
		if err := os.Chown(d, uid, gid); err != nil {
			return "", err
		}
	}
	if folder != tree.Inbox {
		// Marks a folder for delivery agents: maildir-storage.c:maildir_create_maildirfolder_file.
		mark := filepath.Join(dir, "maildirfolder")
		if err := os.WriteFile(mark, nil, 0o600); err != nil {
			return "", err
		}
		return dir, os.Chown(mark, uid, gid)
	}
	return dir, nil
}

func (m Mail) write(dir string, uid, gid int) error {
	sub, name := "cur", m.Name.String()
	if m.New {
		sub, name = "new", m.Name.Unique // without ":2,": no client has seen it
	}
	path := filepath.Join(dir, sub, name)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write mail: %w", err)
	}
	if _, err = f.Write(m.Body); err == nil {
		err = f.Chown(uid, gid)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write mail: %w", err)
	}
	return os.Chtimes(path, m.Received, m.Received)
}

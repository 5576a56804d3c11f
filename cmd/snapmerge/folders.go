package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"snapmerge/internal/config"
	"snapmerge/snapshot"
)

// makeFolders makes the directories for a mailbox's snapshots where they are
// missing and nothing speaks against it. What it leaves out is then a problem
// that [engine.CheckStores] finds, with the command for the administrator.
func makeFolders(mb config.Mailbox) error {
	for _, s := range []config.Store{mb.Offline, mb.Online} {
		if s.Host != "" || !mayMake(s) {
			continue
		}
		if err := os.MkdirAll(s.Snapshots, 0o700); err != nil {
			return fmt.Errorf("mailbox %s: make the snapshots directory: %w", mb.Name, err)
		}
	}
	return nil
}

// mayMake tells whether the directory can be made safely: the mailbox is there
// (else a disk may just not be mounted), the nearest directory above is on its
// file system, and only root can change what is in that, so that nobody leads
// root astray.
func mayMake(s config.Store) bool {
	if _, err := os.Lstat(s.Snapshots); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if _, err := snapshot.Read(s.Path); err != nil {
		return false
	}
	above := filepath.Dir(s.Snapshots)
	st, err := os.Lstat(above)
	for errors.Is(err, fs.ErrNotExist) && above != "/" {
		above = filepath.Dir(above)
		st, err = os.Lstat(above)
	}
	if err != nil || !st.IsDir() || st.Mode().Perm()&0o022 != 0 {
		return false
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); !ok || sys.Uid != 0 {
		return false
	}
	same, err := snapshot.SameFilesystem(s.Path, above)
	return err == nil && same
}

package verify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"snapmerge/merge"
	"snapmerge/tree"
)

// DigestPath is where a mailbox's digests are: a file of their own, as the index
// may be lost every day and a digest is worth something only when it is old.
func DigestPath(stateDir, mailbox string) string {
	return filepath.Join(stateDir, mailbox+".digests.db")
}

// digests are the SHA-256 of home's mails by inode number, as each was first read.
// run says in which run it was last found to be so.
type digests struct {
	conn *sqlite.Conn
	run  int64
}

const digestSchema = `
CREATE TABLE IF NOT EXISTS digest (ino INTEGER PRIMARY KEY, sha256 BLOB NOT NULL, run INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS run (store TEXT NOT NULL, n INTEGER NOT NULL, finished INTEGER NOT NULL);
`

// openDigests begins a run, or goes on with one that was interrupted. Digests of
// another store say nothing: its inode numbers are others.
func openDigests(path, store string) (*digests, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // SQLite would let everybody read it
	if err != nil {
		return nil, err
	}
	f.Close()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	d := &digests{conn: conn, run: 1}
	finished, known := false, false
	err = sqlitex.ExecuteScript(conn, digestSchema, nil)
	if err == nil {
		err = sqlitex.Execute(conn, "SELECT n, finished FROM run WHERE store = ?", &sqlitex.ExecOptions{Args: []any{store}, ResultFunc: func(s *sqlite.Stmt) error {
			d.run, finished, known = s.ColumnInt64(0), s.ColumnBool(1), true
			return nil
		}})
	}
	if err == nil && !known {
		err = sqlitex.ExecuteScript(conn, "DELETE FROM digest; DELETE FROM run;", nil)
	}
	if err == nil && !known {
		err = sqlitex.Execute(conn, "INSERT INTO run VALUES (?, 1, 0)", &sqlitex.ExecOptions{Args: []any{store}})
	} else if err == nil && finished {
		d.run++
		err = sqlitex.Execute(conn, "UPDATE run SET n = ?, finished = 0", &sqlitex.ExecOptions{Args: []any{d.run}})
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return d, nil
}

// get returns the digest of an inode, nil if there is none, and whether this run
// has seen to it.
func (d *digests) get(ino uint64) (sum []byte, done bool, err error) {
	err = sqlitex.Execute(d.conn, "SELECT sha256, run FROM digest WHERE ino = ?", &sqlitex.ExecOptions{Args: []any{int64(ino)}, ResultFunc: func(s *sqlite.Stmt) error {
		sum = make([]byte, s.ColumnLen(0))
		s.ColumnBytes(0, sum)
		done = s.ColumnInt64(1) == d.run
		return nil
	}})
	return sum, done, err
}

func (d *digests) put(ino uint64, sum []byte) error {
	return sqlitex.Execute(d.conn, "INSERT INTO digest VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET run = excluded.run",
		&sqlitex.ExecOptions{Args: []any{int64(ino), sum, d.run}})
}

// finish ends the run: what was not met is gone. What has changed or can not be
// read keeps its first digest, for the next run.
func (d *digests) finish(bad map[uint64]bool) error {
	for ino := range bad {
		if err := sqlitex.Execute(d.conn, "UPDATE digest SET run = ? WHERE ino = ?", &sqlitex.ExecOptions{Args: []any{d.run, int64(ino)}}); err != nil {
			return err
		}
	}
	if err := sqlitex.Execute(d.conn, "DELETE FROM digest WHERE run <> ?", &sqlitex.ExecOptions{Args: []any{d.run}}); err != nil {
		return err
	}
	return sqlitex.Execute(d.conn, "UPDATE run SET finished = 1", nil)
}

// batch is how many mails share a transaction: what a run that is interrupted reads
// again.
const batch = 500

// digest reads every mail, in the order of their inodes: that is about the order on
// disk.
func (v *verifier) digest(ctx context.Context) error {
	path := DigestPath(v.stateDir, v.mb.Name)
	d, err := openDigests(path, v.hosts.Facts[merge.Offline].Live.UUID.String())
	if err != nil {
		return fmt.Errorf("digests %q: %w", path, err)
	}
	defer d.conn.Close()
	files := slices.Clone(v.now.Files)
	slices.SortFunc(files, func(a, b tree.File) int { return cmp.Compare(a.Ino, b.Ino) })
	files = slices.CompactFunc(files, func(a, b tree.File) bool { return a.Ino == b.Ino })
	bad := map[uint64]bool{}
	for done := 0; done < len(files); done += batch {
		v.opt.Progress("digest", done, len(files))
		err := d.transact(func() error { return v.digestBatch(ctx, d, files[done:min(done+batch, len(files))], bad) })
		if err != nil {
			return fmt.Errorf("digests %q: %w", path, err)
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	return d.transact(func() error { return d.finish(bad) })
}

func (d *digests) transact(f func() error) (err error) {
	end, err := sqlitex.ImmediateTransaction(d.conn)
	if err != nil {
		return err
	}
	defer end(&err)
	return f()
}

func (v *verifier) digestBatch(ctx context.Context, d *digests, files []tree.File, bad map[uint64]bool) error {
	for _, f := range files {
		if ctx.Err() != nil {
			return nil // what was read counts
		}
		was, done, err := d.get(f.Ino)
		if done || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		sum, err := v.sum(f)
		switch {
		case err != nil:
			bad[f.Ino] = true
			v.found("unreadable", v.live(f), "%v", err)
		case was != nil && !bytes.Equal(was, sum):
			bad[f.Ino] = true
			v.found("digest-changed", v.live(f), "SHA-256 %x, it was %x", sum, was)
		default:
			v.Digests++
			if err := d.put(f.Ino, sum); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *verifier) sum(f tree.File) ([]byte, error) {
	r, err := openBeneath(v.nowRoot, pathOf(v.mb.Offline.Layout, f))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err == nil && n != f.Size {
		err = errors.New("it ends too early")
	}
	return h.Sum(nil), err
}

package state

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// ErrRebuild: the index is damaged, of another version, or not what the caller
// takes it for. [Discard] it, [Open] a new one, and fill it by [Rebuild] and
// [Index.Replace].
var ErrRebuild = errors.New("index must be built again")

// An Index is the SQLite file of one mailbox, open. It is for one goroutine at
// a time.
type Index struct {
	path string
	conn *sqlite.Conn
	rows map[int64]*folderRow // the table folder, nil if not read since it was written
	held bool                 // a read transaction is open
}

const (
	applicationID = 0x534d7267 // "SMrg": file(1) and Discard know the file by it
	schemaVersion = 4          // PRAGMA user_version; any other means rebuild
)

// schema: arrays of two are told apart by side, the number of a merge.Side.
// file.key is NULL where it equals message, which is nearly everywhere; so its
// index has the Pairs only. meta holds two rows, "sync": Meta, as in a record, and
// "messages": how many each side has. pending holds Pending without Pairs, in its parts.
const schema = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE pending (part INTEGER PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE folder (
	id       INTEGER PRIMARY KEY,
	side     INTEGER NOT NULL,
	name     TEXT NOT NULL,
	ino      INTEGER NOT NULL,
	keywords TEXT NOT NULL
);
CREATE TABLE file (
	side    INTEGER NOT NULL,
	folder  INTEGER NOT NULL REFERENCES folder(id),
	isnew   INTEGER NOT NULL,
	name    TEXT NOT NULL,
	ino     INTEGER NOT NULL,
	size    INTEGER NOT NULL,
	mtime   INTEGER NOT NULL,
	ctime   INTEGER NOT NULL,
	message TEXT NOT NULL,
	key     TEXT
);
`

const dropIndexes = `
DROP INDEX IF EXISTS file_ino;
DROP INDEX IF EXISTS file_folder;
DROP INDEX IF EXISTS file_message;
DROP INDEX IF EXISTS file_key;
`

const makeIndexes = `
CREATE INDEX file_ino ON file(side, ino);
CREATE INDEX file_folder ON file(folder, mtime);
CREATE INDEX file_message ON file(message);
CREATE INDEX file_key ON file(key) WHERE key IS NOT NULL;
`

// Open opens the index, or makes an empty one with Sync 0.
//
// It keeps SQLite's rollback journal, not a WAL: when idle, the index is one
// file, and who deletes it has deleted all of it. synchronous=EXTRA makes the
// end of a transaction durable in that mode (sqlite.org/pragma.html).
func Open(path string) (*Index, error) {
	if err := private(path); err != nil {
		return nil, fmt.Errorf("open index %q: %w", path, err)
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, fmt.Errorf("open index %q: %w", path, asRebuild(err))
	}
	x := &Index{path: path, conn: conn}
	if err := x.prepare(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("open index %q: %w", path, asRebuild(err))
	}
	return x, nil
}

// private makes the file where it is missing: SQLite would let everybody read
// it, and it has the headers of held mail. What is no regular file is refused.
func private(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return unix.Close(fd)
	}
	st, e := os.Lstat(path)
	switch {
	case err != unix.EEXIST:
		return err
	case e != nil:
		return e
	case !st.Mode().IsRegular():
		return errors.New("no regular file")
	}
	return nil
}

func (x *Index) prepare() error {
	app, err := x.pragma("application_id")
	if err != nil {
		return err
	}
	version, err := x.pragma("user_version")
	if err != nil {
		return err
	}
	tables, err := x.integer("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	empty := app == 0 && version == 0 && tables == 0
	if !empty && (app != applicationID || version != schemaVersion) {
		return fmt.Errorf("application %#x, version %d: %w", app, version, ErrRebuild)
	}
	for _, p := range []string{"journal_mode=DELETE", "synchronous=EXTRA", "foreign_keys=ON", "cell_size_check=ON"} {
		if err := sqlitex.ExecuteTransient(x.conn, "PRAGMA "+p, nil); err != nil {
			return err
		}
	}
	if !empty {
		return nil
	}
	return x.transact(func() error {
		return sqlitex.ExecuteScript(x.conn, fmt.Sprintf("PRAGMA application_id=%d; PRAGMA user_version=%d;", applicationID, schemaVersion)+
			schema+makeIndexes, nil)
	})
}

func (x *Index) pragma(name string) (int64, error) { return x.integer("PRAGMA " + name) }

func (x *Index) integer(query string) (n int64, err error) {
	err = sqlitex.ExecuteTransient(x.conn, query, &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		n = s.ColumnInt64(0)
		return nil
	}})
	return n, err
}

// transact runs f in one transaction: all of it, durable, or nothing.
func (x *Index) transact(f func() error) (err error) {
	if err := x.endReading(); err != nil {
		return err
	}
	end, err := sqlitex.ImmediateTransaction(x.conn)
	if err != nil {
		return err
	}
	defer end(&err)
	return f()
}

// BeginReading makes the questions that follow cheaper: the file is locked for
// reading once, until the index is written or closed, and not for each of them.
func (x *Index) BeginReading() error {
	if x.held {
		return nil
	}
	if err := sqlitex.ExecuteTransient(x.conn, "BEGIN", nil); err != nil {
		return fmt.Errorf("read index %q: %w", x.path, asRebuild(err))
	}
	x.held = true
	return nil
}

func (x *Index) endReading() error {
	if !x.held {
		return nil
	}
	x.held = false
	return sqlitex.ExecuteTransient(x.conn, "COMMIT", nil)
}

// Close closes the file.
func (x *Index) Close() error {
	if err := x.conn.Close(); err != nil {
		return fmt.Errorf("close index %q: %w", x.path, err)
	}
	return nil
}

// Discard removes the index at path, whatever state it is in. None is no error.
func Discard(path string) error {
	// The rollback journal first: alone, it would be played into a new index.
	for _, name := range []string{path + "-journal", path} {
		if err := unix.Unlink(name); err != nil && err != unix.ENOENT {
			return fmt.Errorf("discard index %q: %w", name, err)
		}
	}
	return nil
}

// asRebuild marks the SQLite errors that a new index would mend.
func asRebuild(err error) error {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultCorrupt, sqlite.ResultNotADB, sqlite.ResultConstraint, sqlite.ResultSchema:
		return fmt.Errorf("%w: %w", ErrRebuild, err)
	}
	return err
}

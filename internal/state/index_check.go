package state

import (
	"errors"
	"fmt"
	"os"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// OpenReadOnly opens the index for looking at it: nothing is made, and nothing is
// played back that a killed run has left half: then it can not be read. Errors:
// fs.ErrNotExist, and [ErrRebuild] if it is not an index of this version.
func OpenReadOnly(path string) (*Index, error) {
	st, err := os.Lstat(path)
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("no regular file")
	}
	if err != nil {
		return nil, fmt.Errorf("open index %q: %w", path, err)
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		return nil, fmt.Errorf("open index %q: %w", path, asRebuild(err))
	}
	x := &Index{path: path, conn: conn}
	app, err := x.pragma("application_id")
	var version int64
	if err == nil {
		version, err = x.pragma("user_version")
	}
	if err == nil && (app != applicationID || version != schemaVersion) {
		err = fmt.Errorf("application %#x, version %d: %w", app, version, ErrRebuild)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("open index %q: %w", path, asRebuild(err))
	}
	return x, nil
}

// Damage returns what SQLite itself finds wrong with the file, at most 20 lines.
func (x *Index) Damage() (out []string, err error) {
	err = sqlitex.ExecuteTransient(x.conn, "PRAGMA integrity_check(20)", &sqlitex.ExecOptions{ResultFunc: func(s *sqlite.Stmt) error {
		if line := s.ColumnText(0); line != "ok" {
			out = append(out, line)
		}
		return nil
	}})
	return out, x.readError(err)
}

// A Stored is how much mail a side has.
type Stored struct {
	Mails int // files, whatever message they are
	Bytes int64
}

// Stored counts the files of each side's base snapshot. It reads all of the index.
func (x *Index) Stored() (out [2]Stored, err error) {
	err = sqlitex.Execute(x.conn, "SELECT side, count(*), total(size) FROM file GROUP BY side", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlite.Stmt) error {
			if side := s.ColumnInt(0); side >= 0 && side < len(out) {
				out[side] = Stored{s.ColumnInt(1), int64(s.ColumnFloat(2))}
			}
			return nil
		}})
	return out, x.readError(err)
}

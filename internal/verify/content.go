package verify

import (
	"errors"
	"io"
	"os"
	"time"

	"snapmerge/reflink"
	"snapmerge/snapshot"
)

func timeOf(ns int64) time.Time { return time.Unix(0, ns) }

func sameBytes(a, b *os.File) (bool, error) {
	sa, err := a.Stat()
	if err != nil {
		return false, err
	}
	sb, err := b.Stat()
	if err != nil || sa.Size() != sb.Size() {
		return false, err
	}
	return reflink.SameBytes(a, b)
}

// byIno opens a file of a snapshot by its inode number, nil if there is none.
func (v *verifier) byIno(root *os.File, ino uint64) (*os.File, error) {
	path, err := pathByIno(root, ino)
	if path == "" || err != nil {
		return nil, err
	}
	f, err := openBeneath(root, path)
	if err != nil {
		return nil, nil
	}
	return f, nil
}

// pathByIno follows an inode's names up to the root of its subvolume.
func pathByIno(root *os.File, ino uint64) (path string, err error) {
	const rootIno = 256
	for depth := 0; ino != rootIno; depth++ {
		s := snapshot.NewSearch(root, snapshot.Key{Object: ino, Type: snapshot.InodeRefType},
			snapshot.Key{Object: ino, Type: snapshot.ExtRefType, Offset: snapshot.MaxKey.Offset}, 0)
		item, err := s.Next()
		if err == io.EOF || depth > 128 {
			return "", nil
		} else if err != nil {
			return "", err
		}
		err = item.Refs(func(dir uint64, name []byte) error {
			if path != "" {
				path = "/" + path
			}
			path, ino = string(name)+path, dir
			return errEnough
		})
		if err != nil && !errors.Is(err, errEnough) {
			return "", err
		}
	}
	return path, nil
}

var errEnough = errors.New("one name is enough")

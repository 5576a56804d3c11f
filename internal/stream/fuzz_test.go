package stream

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzDecode: no input makes the Decoder panic, and what it returns keeps its
// promises. In half of the runs the checksums of the input are made right first,
// so that the fuzzer gets past them.
func FuzzDecode(f *testing.F) {
	for _, file := range corpusFiles(f) {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend {
			b = mendSums(bytes.Clone(b))
		}
		d := NewDecoder(bytes.NewReader(b), Limits{})
		for n := 0; ; n++ {
			c, err := d.Next()
			if err != nil {
				if err != io.EOF && !strings.HasPrefix(err.Error(), "stream: ") {
					t.Errorf("error without its operation: %v", err)
				}
				if err == io.EOF && d.Offset() != int64(len(b)) {
					t.Errorf("end after %d of %d bytes", d.Offset(), len(b))
				}
				return
			}
			if first := c.Op == Subvol || c.Op == Snapshot; first != (n == 0) {
				t.Fatalf("%s as command %d", c.Op, n)
			}
			if c.Op != Symlink && !sound(c.To, c.To == "") || !sound(c.Path, c.Op.takesRoot()) {
				t.Fatalf("%s %q %q", c.Op, c.Path, c.To)
			}
		}
	})
}

// sound says in other words what a path may be.
func sound(p string, emptyToo bool) bool {
	return p == "" && emptyToo || filepath.IsLocal(p) && filepath.Clean(p) == p && p != "." && len(p) < 4096 &&
		!strings.Contains(p, "\x00")
}

func corpusFiles(t testing.TB) []string {
	a, err := filepath.Glob("testdata/corpus/*/nodata.stream")
	b, err2 := filepath.Glob("testdata/hostile/*.stream")
	if err := errors.Join(err, err2); err != nil || len(a)+len(b) < 60 {
		t.Fatalf("%d streams, %v", len(a)+len(b), err)
	}
	return append(a, b...)
}

// mendSums makes the checksums right of what looks like commands.
func mendSums(b []byte) []byte {
	for rest := b[min(headerSize, len(b)):]; len(rest) >= commandLen; {
		n := int(rest[0]) | int(rest[1])<<8 + commandLen
		if n > len(rest) || rest[2] != 0 || rest[3] != 0 {
			break
		}
		seal(rest[:n], Op(rest[4])|Op(rest[5])<<8)
		rest = rest[n:]
	}
	return b
}

// FuzzTrack: commands about a handful of names, in any order. The tree stays one:
// every node is where it says, no directory is in two places, and origin agrees
// with the listing.
func FuzzTrack(f *testing.F) {
	f.Add([]byte("\x09\x01\x02\x0a\x03\x04\x04\x05\x06"))
	f.Add([]byte{9, 1, 9, 9, 2, 1, 9, 9, 2, 11, 0x12, 0, 12, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		tr := NewTracker(Limits{Names: 300, Unnamed: 50})
		for ; len(b) >= 3; b = b[3:] {
			c := Command{Op: 1 + Op(b[0]%22), Path: fuzzPath(b[1]), To: fuzzPath(b[2]), Ino: 257 + uint64(b[2])}
			if c.Op == End || tr.Apply(c) != nil {
				break // of no further use
			}
			checkTree(t, tr)
		}
	})
}

// fuzzPath returns one of 84 paths.
func fuzzPath(b byte) string {
	names := "abcd"
	p := string(names[b&3])
	for b >>= 2; b&3 != 0 && len(p) < 5; b >>= 2 {
		p += "/" + string(names[b&3])
	}
	return p
}

func checkTree(t *testing.T, tr *Tracker) {
	seen := map[*inode]string{}
	var visit func(n *node, path string)
	visit = func(n *node, path string) {
		if _, twice := seen[n.inode]; twice && n.inode.kind == directory {
			t.Fatalf("directory %q is at %q too", path, seen[n.inode])
		}
		seen[n.inode] = path
		was, at, ok := tr.origin(path)
		if at != n || ok != (n.inode.made == 0) || was != n.inode.origin() && ok {
			t.Fatalf("origin of %q is %q, %v", path, was, ok)
		}
		if len(n.kids) > 0 && n.inode.kind != directory {
			t.Fatalf("%q has entries and is of kind %d", path, n.inode.kind)
		}
		for name, kid := range n.kids {
			if kid != nil && (kid.up != n || kid.name != name) {
				t.Fatalf("%q does not know where it is", join(path, name))
			}
			if kid != nil {
				visit(kid, join(path, name))
			}
		}
	}
	visit(tr.root, "")
}

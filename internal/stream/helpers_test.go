package stream

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"snapmerge/tree"
)

// A value is an attribute of a command that a test makes.
type value struct {
	a attr
	v []byte
}

func text(a attr, s string) value   { return value{a, []byte(s)} }
func number(a attr, n uint64) value { return value{a, binary.LittleEndian.AppendUint64(nil, n)} }
func zeros(a attr, n int) value     { return value{a, make([]byte, n)} }

// encode returns a command with its length and checksum.
func encode(o Op, values ...value) []byte {
	b := make([]byte, commandLen)
	for _, v := range values {
		b = binary.LittleEndian.AppendUint16(b, uint16(v.a))
		b = binary.LittleEndian.AppendUint16(b, uint16(len(v.v)))
		b = append(b, v.v...)
	}
	return seal(b, o)
}

// seal fills in the header of a command.
func seal(b []byte, o Op) []byte {
	binary.LittleEndian.PutUint32(b, uint32(len(b)-commandLen))
	binary.LittleEndian.PutUint16(b[4:], uint16(o))
	binary.LittleEndian.PutUint32(b[6:], checksum(b))
	return b
}

func header(version uint32) []byte {
	return binary.LittleEndian.AppendUint32([]byte(magic), version)
}

var (
	subvol   = encode(Subvol, text(aPath, "now"), zeros(aUUID, 16), number(aTransid, 1))
	snapCmd  = encode(Snapshot, text(aPath, "now"), zeros(aUUID, 16), number(aTransid, 2), zeros(aCloneUUID, 16), number(aCloneTransid, 1))
	endCmd   = encode(End)
	version1 = header(1)
)

func stream(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func decodeAll(b []byte) (list []Command, err error) {
	d := NewDecoder(bytes.NewReader(b), Limits{})
	for {
		c, err := d.Next()
		if err == io.EOF {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		c.Data = bytes.Clone(c.Data)
		list = append(list, c)
	}
}

func trackAll(b []byte, l Limits) (*Tracker, error) {
	t := NewTracker(l)
	_, err := t.follow(bytes.NewReader(b))
	return t, err
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An entry is a line of a listing, without its size.
type entry struct {
	kind string // f, d, …
	ino  uint64
}

func listing(t testing.TB, name string) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	for line := range strings.Lines(string(read(t, name))) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 5)
		ino, err := strconv.ParseUint(f[1], 10, 64)
		if len(f) != 5 || err != nil {
			t.Fatalf("%s: line %q", name, line)
		}
		all[f[4]] = entry{f[0], ino}
	}
	return all
}

// expand returns what the tracker makes of the parent snapshot's listing: every
// path with its inode number.
func expand(t *Tracker, before map[string]entry) map[string]uint64 {
	below := map[string][]string{} // names by directory
	for p := range before {
		dir, name := "", p
		if i := strings.LastIndexByte(p, '/'); i >= 0 {
			dir, name = p[:i], p[i+1:]
		}
		below[dir] = append(below[dir], name)
	}
	out := map[string]uint64{}
	var old func(was, is string)
	old = func(was, is string) {
		for _, name := range below[was] {
			out[join(is, name)] = before[join(was, name)].ino
			old(join(was, name), join(is, name))
		}
	}
	var visit func(n *node, path string)
	visit = func(n *node, path string) {
		if n.inode.made == 0 {
			was := n.inode.origin()
			for _, name := range below[was] {
				if _, named := n.kids[name]; !named {
					out[join(path, name)] = before[join(was, name)].ino
					old(join(was, name), join(path, name))
				}
			}
		}
		for name, kid := range n.kids {
			if kid == nil {
				continue
			}
			p := join(path, name)
			out[p] = kid.inode.made
			if kid.inode.made == 0 {
				out[p] = before[kid.inode.origin()].ino
			}
			visit(kid, p)
		}
	}
	visit(t.root, "")
	return out
}

func command(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

func diffChanges(want, got tree.Changes) string {
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

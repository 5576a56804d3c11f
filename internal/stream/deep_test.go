package stream

import (
	"fmt"
	"strings"
	"testing"
)

// TestDeep: directories that are moved into each other have short paths in every
// command, and a walk through what was made must not take memory for the squares of
// their depth: 20,000 of them would be 50 GB.
func TestDeep(t *testing.T) {
	tr := NewTracker(Limits{})
	apply := func(c Command) {
		t.Helper()
		if err := tr.Apply(c); err != nil {
			t.Fatal(err)
		}
	}
	name := strings.Repeat("n", 200)
	apply(Command{Op: Snapshot})
	apply(Command{Op: Mkdir, Path: "d0", Ino: 300})
	for i := range 1000 {
		apply(Command{Op: Mkdir, Path: fmt.Sprint("d", i+1), Ino: uint64(301 + i)})
		apply(Command{Op: Rename, Path: fmt.Sprint("d", i), To: fmt.Sprint("d", i+1, "/", name)})
	}
	d := &differ{track: tr}
	d.reset()
	if err := d.otherwiseTouched(tr.root, ""); err == nil || !strings.Contains(err.Error(), "path of") {
		t.Errorf("error %v", err)
	}
}

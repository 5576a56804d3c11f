package remote

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"snapmerge/internal/host"
	"strings"
	"testing"
)

// A stolen key can take snapshots, but not without end.
func TestFreezeWithoutEnd(t *testing.T) {
	w := newWorld(t, 0)
	for i := range maxFrozen {
		if err := os.Mkdir(filepath.Join(w.store.Snapshots, fmt.Sprintf("online.%d", i+1)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c := session(t, w)
	if _, err := c.Freeze(context.Background(), "online.5000"); err == nil || !strings.Contains(err.Error(), "has 1000 snapshots") {
		t.Errorf("frozen all the same: %v", err)
	}
	if err := os.Remove(filepath.Join(w.store.Snapshots, "online.7")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Freeze(context.Background(), "online.5000"); err != nil {
		t.Error(err)
	}
}

// However many subvolumes are in a store, and whatever they are called, the end of
// a freeze has room for some of them and for their number.
func TestTrimNested(t *testing.T) {
	for _, test := range []struct {
		name         string
		paths, named int
	}{
		{".work", 3, 3},
		{strings.Repeat("\xff", maxNested), 1, 1},
		{strings.Repeat("\xff", maxNested), 2, 1},
		{strings.Repeat("\xff", 255), 100, maxNested / 255},
		{strings.Repeat("x", maxNested+1), 2, 0},
	} {
		f := &host.Frozen{Nested: slices.Repeat([]string{test.name}, test.paths)}
		trimNested(f)
		if len(f.Nested) != test.named || f.NestedMore != test.paths-test.named {
			t.Errorf("%d of %d bytes: %d named, %d more", test.paths, len(test.name), len(f.Nested), f.NestedMore)
		}
		data, err := encode(kindEnd, &end{Frozen: f})
		if err != nil || len(data) > int(limits[kindEnd]) {
			t.Errorf("%d of %d bytes: a frame of %d bytes, %v", test.paths, len(test.name), len(data), err)
		}
	}
}

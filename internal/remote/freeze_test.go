package remote

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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

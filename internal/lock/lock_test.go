package lock

import (
	"errors"
	"os"
	"testing"
)

// TestLock: one holder at a time, whatever handle it uses, and nothing is left behind.
func TestLock(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	must(t, err)
	defer dir.Close()
	release, err := Take(dir)
	must(t, err)
	if _, err := Take(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock, same handle: %v, want ErrLocked", err)
	}
	other, err := os.Open(dir.Name())
	must(t, err)
	defer other.Close()
	if _, err := Take(other); !errors.Is(err, ErrLocked) {
		t.Errorf("second lock, other handle: %v, want ErrLocked", err)
	}
	release()
	release, err = Take(other)
	must(t, err)
	release()
	if left, err := os.ReadDir(dir.Name()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

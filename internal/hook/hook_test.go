package hook

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A command has its arguments and environment, and nothing else; what it says is
// heard if it fails; it does not outlive its time, nor do its children.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "out")
	sh := func(script string, limit time.Duration) error {
		return Run(context.Background(), []string{"/bin/sh", "-c", script, "sh", "$HOME; *"}, []string{"FILE=" + file, "X=a b"}, limit)
	}
	if err := sh(`printf '%s|%s|%s' "$1" "$X" "$HOME" >"$FILE"; cat`, time.Minute); err != nil {
		t.Error(err)
	}
	if b, _ := os.ReadFile(file); string(b) != "$HOME; *|a b|" {
		t.Errorf("%q", b)
	}
	if err := sh(`yes | head -c 100000; echo last words >&2; exit 3`, time.Minute); err == nil || err.Error() != "/bin/sh: exit status 3: last words" {
		t.Errorf("%v", err)
	}
	begun := time.Now()
	if err := sh(`(sleep 1; touch "$FILE.late") & sleep 60`, 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), "killed after 100ms") {
		t.Errorf("%v", err)
	}
	if d := time.Since(begun); d > 20*time.Second {
		t.Errorf("ended after %v", d)
	}
	time.Sleep(1200 * time.Millisecond)
	if _, err := os.Stat(file + ".late"); err == nil {
		t.Error("a child has outlived it")
	}
	if err := Run(context.Background(), []string{filepath.Join(dir, "none")}, nil, time.Minute); err == nil {
		t.Error("no error for a program that is not there")
	}
}

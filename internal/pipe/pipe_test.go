package pipe

import (
	"testing"
	"time"
)

func TestWide(t *testing.T) {
	r, w, err := Wide()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := w.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatalf("not in non-blocking mode: %v", err)
	}
	if n, err := w.Write(make([]byte, Size)); err != nil {
		t.Errorf("the pipe took %d bytes: %v", n, err)
	}
}

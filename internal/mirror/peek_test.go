package mirror

import (
	"errors"
	"path/filepath"
	"testing"

	"snapmerge/internal/btrfstest"
	"snapmerge/snapshot"
)

// An increment in which nothing has changed makes a mirror, and starts no
// process: one would panic here. Whatever else there is in it is that process's to
// judge.
func TestPeek(t *testing.T) {
	s := newStore(t, btrfstest.Shared(t))
	s.mails(3, 3000)
	s.snap()
	if _, err := Receive(t.Context(), s.options(0), bytesIn(s.stream(0))); err != nil {
		t.Fatal(err)
	}
	s.snap()
	b := s.stream(1)
	defer func(name string) { childArg0 = name }(childArg0)
	childArg0 = "bad child: panics"
	for name, in := range map[string][]byte{
		"one byte less": b[:len(b)-1], "no end": b[:len(b)-10], "one byte more": append(b[:len(b):len(b)], 0), "nothing": nil,
		"another snapshot": append(b[:40:40], append([]byte{b[40] ^ 1}, b[41:]...)...),
	} {
		if _, err := Receive(t.Context(), s.options(1), bytesIn(in)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	res, err := Receive(t.Context(), s.options(1), bytesIn(b))
	if err != nil || res.Tracker == nil || res.Bytes != int64(len(b)) {
		t.Fatalf("%+v, %v", res, err)
	}
	info, err := snapshot.Read(filepath.Join(s.home, "online.1"))
	if err != nil || !info.ReadOnly || info.ReceivedUUID != s.options(1).UUID {
		t.Errorf("%+v, %v", info, err)
	}
	childArg0 = childName
	if _, err := Receive(t.Context(), s.options(1), bytesIn(b)); !errors.Is(err, snapshot.ErrExists) {
		t.Errorf("over a mirror: %v", err)
	}
}

func TestCallFilter(t *testing.T) {
	for arch := range architectures {
		f, err := callFilter(arch)
		if err != nil || len(f) > 100 {
			t.Errorf("%s: %d instructions, %v", arch, len(f), err)
		}
	}
	if _, err := callFilter("vax"); err == nil {
		t.Error("a filter for unknown system calls")
	}
}

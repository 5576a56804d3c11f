package livetest

import (
	"flag"
	"testing"

	"snapmerge/internal/btrfstest"
)

func TestMain(m *testing.M) {
	// A scenario waits for two Dovecots and for disks most of the time.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	btrfstest.Main(m)
}

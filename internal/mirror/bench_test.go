package mirror

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"snapmerge/internal/btrfstest"
	"snapmerge/snapshot"
)

// BenchmarkReceive receives 10,000 mails of 7 KB, and has btrfs-receive(8) do the
// same, which syncs nothing: µs of each a mail, and their ratio.
func BenchmarkReceive(b *testing.B) {
	s := newStore(b, btrfstest.Shared(b))
	const mails = 10_000
	s.mails(mails, 7000)
	s.snap()
	in := s.stream(0)
	var ours, theirs time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := Receive(b.Context(), s.options(0), bytesIn(in)); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)
		if err := snapshot.Delete(s.home, "online.0"); err != nil {
			b.Fatal(err)
		}
		theirs += stock(b, s.home, in)
	}
	perMail := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(b.N) / mails }
	b.ReportMetric(perMail(ours), "µs/mail")
	b.ReportMetric(perMail(theirs), "µs/mail(btrfs)")
	b.ReportMetric(perMail(ours)/perMail(theirs), "ratio")
}

func stock(b *testing.B, dir string, in []byte) time.Duration {
	b.Helper()
	c := exec.Command("btrfs", "receive", dir)
	c.Stdin = bytes.NewReader(in)
	start := time.Now()
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	d := time.Since(start)
	if out, err := exec.Command("btrfs", "subvolume", "delete", filepath.Join(dir, "online.0")).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	return d
}

package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/tree"
)

// A benchStore has 100,000 mails in 100 folders, in the order of their arrival.
type benchStore struct {
	fs    *btrfstest.FS
	root  string
	r     *rand.Rand
	mails []string // paths below root
	n     int      // snapshots and mails made
}

const benchFolders, benchMails = 100, 100_000

var theBenchStore *benchStore

// storeFor makes the store once: all benchmarks change the same one.
func storeFor(b *testing.B) *benchStore {
	if theBenchStore != nil {
		return theBenchStore
	}
	fs := btrfstest.Shared(b)
	s := &benchStore{fs: fs, root: fs.Subvolume(b, "live"), r: rand.New(rand.NewPCG(1, 2))}
	for _, sub := range []string{"cur", "new", "tmp"} {
		must(b, os.Mkdir(filepath.Join(s.root, sub), 0o700))
		for i := range benchFolders {
			must(b, os.MkdirAll(filepath.Join(s.root, fmt.Sprintf(".folder%02d", i), sub), 0o700))
		}
	}
	for range benchMails {
		s.deliver(b)
	}
	unix.Sync()
	theBenchStore = s
	return s
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (s *benchStore) cur() string { return fmt.Sprintf(".folder%02d/cur", s.r.IntN(benchFolders)) }

// deliver makes a mail; one of five is short enough to lie in the metadata.
func (s *benchStore) deliver(b *testing.B) {
	s.n++
	size := 3000 + s.r.IntN(4000)
	if s.r.IntN(5) == 0 {
		size = 500 + s.r.IntN(1400)
	}
	name := fmt.Sprintf("%s/%d.M%dP%d.mx,S=%d,W=%d:2,", s.cur(), 1_700_000_000+s.n, s.r.IntN(1e6), s.r.IntN(1e5), size, size+size/70)
	must(b, os.WriteFile(filepath.Join(s.root, name), make([]byte, size), 0o600))
	s.mails = append(s.mails, name)
}

// change does n changes at random places: 55 % flags, 15 % moves, 25 % new mails,
// 5 % removals.
func (s *benchStore) change(b *testing.B, n int) {
	for range n {
		i := s.r.IntN(len(s.mails))
		from := s.mails[i]
		to := ""
		switch p := s.r.IntN(100); {
		case p < 55:
			var seen bool
			if to, seen = strings.CutSuffix(from, "S"); !seen {
				to = from + "S"
			}
		case p < 70:
			to = filepath.Join(s.cur(), filepath.Base(from))
		case p < 95:
			s.deliver(b)
			continue
		default:
			must(b, os.Remove(filepath.Join(s.root, from)))
			s.mails[i] = s.mails[len(s.mails)-1]
			s.mails = s.mails[:len(s.mails)-1]
			continue
		}
		must(b, os.Rename(filepath.Join(s.root, from), filepath.Join(s.root, to)))
		s.mails[i] = to
	}
}

func (s *benchStore) snapshot(b *testing.B) *os.File {
	s.n++
	f, err := os.Open(s.fs.Snapshot(b, s.root, fmt.Sprintf("snap/%d", s.n)))
	must(b, err)
	b.Cleanup(func() { f.Close() })
	return f
}

// measure times f by the clock and by the processor, which others do not share.
func measure(b *testing.B, cpu *time.Duration, f func()) {
	used := func() time.Duration {
		var ru unix.Rusage
		must(b, unix.Getrusage(unix.RUSAGE_SELF, &ru))
		return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	before := used()
	b.StartTimer()
	f()
	b.StopTimer()
	*cpu += used() - before
}

// BenchmarkScan reads a snapshot that nobody has looked into.
func BenchmarkScan(b *testing.B) {
	s := storeFor(b)
	for name, scan := range map[string]func(*os.File, tree.Layout) (*tree.Tree, error){"walk": tree.Scan, "search": searchScan} {
		b.Run(name, func(b *testing.B) {
			b.StopTimer()
			b.ReportAllocs()
			var cpu time.Duration
			var files int
			for range b.N {
				root := s.snapshot(b)
				measure(b, &cpu, func() {
					t, err := scan(root, tree.Layout{})
					must(b, err)
					files = len(t.Files)
				})
			}
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N)/float64(files), "cpu-ns/mail")
		})
	}
}

// BenchmarkDiff finds changes at random places.
func BenchmarkDiff(b *testing.B) {
	s := storeFor(b)
	for _, n := range []int{0, 10, 100, 1000, 10000} {
		for _, way := range []Way{Sending, Listing, Walking, ""} {
			b.Run(fmt.Sprintf("%d/%s", n, way), func(b *testing.B) {
				b.StopTimer()
				var cpu time.Duration
				var stats Stats
				for range b.N {
					base := s.snapshot(b)
					was, err := Scan(base, tree.Layout{})
					must(b, err)
					known := InMemory(was)
					s.change(b, n)
					now := s.snapshot(b)
					measure(b, &cpu, func() {
						if way == Sending {
							_, stats, err = Diff(context.Background(), base, now, known, tree.Layout{})
						} else {
							_, stats, err = goWay(way, base, now, known, tree.Layout{})
						}
					})
					must(b, err)
				}
				b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/op")
				b.ReportMetric(float64(stats.Items), "items")
				b.ReportMetric(float64(stats.Entries), "entries")
			})
		}
	}
}

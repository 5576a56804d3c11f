package bench

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/sshtest"
)

// BenchmarkSync is one run, whatever -benchtime says: it prints a table for each
// size of SNAPMERGE_BENCH ("10000 100000" by default; a million mails want 60 GB
// of room in TMPDIR and an hour).
func BenchmarkSync(b *testing.B) {
	sizes := os.Getenv("SNAPMERGE_BENCH")
	if sizes == "" {
		sizes = "10000 100000"
	}
	bin := filepath.Join(b.TempDir(), "snapmerge")
	run(b, "go", "build", "-o", bin, "snapmerge/cmd/snapmerge")
	t := &table{}
	for _, s := range strings.Fields(sizes) {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatalf("SNAPMERGE_BENCH: %v", err)
		}
		b.Run(s, func(b *testing.B) { measure(b, bin, n, t) })
	}
	fmt.Print("\n", t, t.growth())
}

// A rig is one mailbox on two file systems, with an sshd between them.
type rig struct {
	*testing.B
	mails        int
	online, home *btrfstest.FS
	config, bin  string
	ssh          string // as a command line: reaches the agent
	bare         string // reaches a shell
	t            *table
}

func measure(b *testing.B, bin string, mails int, t *table) {
	size := max(int64(mails)*64<<10, 4<<30)
	r := &rig{B: b, mails: mails, bin: bin, online: btrfstest.New(b, size), home: btrfstest.New(b, size), t: t}
	for _, fs := range []*btrfstest.FS{r.online, r.home} {
		fs.Subvolume(b, "mail")
		must(b, os.Mkdir(filepath.Join(fs.Path, "snapshots"), 0o700))
	}
	r.fill()
	mail, snapshots := filepath.Join(r.online.Path, "mail"), filepath.Join(r.online.Path, "snapshots")
	r.ssh = sshtest.Start(b, fmt.Sprintf("%s agent --mailbox x --path %s --snapshots %s", bin, mail, snapshots)).SSH
	r.bare = sshtest.Start(b, "").SSH
	r.config = filepath.Join(b.TempDir(), "snapmerge.toml")
	must(b, os.WriteFile(r.config, fmt.Appendf(nil, `state_dir = %q
[mailbox.x.online]
host = "mx"
ssh = %q
path = %q
snapshots = %q
[mailbox.x.offline]
path = %q
snapshots = %q
[mailbox.x.merge]
deleted_online = "apply"
max_deletions = 100000
[mailbox.x.limits]
messages = 2000000
`, b.TempDir(), r.ssh, mail, snapshots, filepath.Join(r.home.Path, "mail"), filepath.Join(r.home.Path, "snapshots")), 0o600))

	r.first()
	r.sync("second sync (settles the first)", nil)
	r.nothing()
	r.thousand()
	if os.Getenv("SNAPMERGE_MBSYNC") != "" {
		r.mbsync()
	}
}

// first is the first sync, with nothing in any cache.
func (r *rig) first() {
	floors := r.fullFloors()
	dropCaches(r.B)
	r.sync("first sync", floors)
}

// nothing is a sync with nothing to do: the median of nine.
func (r *rig) nothing() {
	r.settle()
	ssh := median(9, func() time.Duration {
		return timed(func() { run(r.B, "sh", "-c", r.bare+" mx true </dev/null") })
	})
	snapshots := time.Duration(0)
	for _, fs := range []*btrfstest.FS{r.online, r.home} {
		snapshots += median(5, func() time.Duration { return r.bareSnapshot(fs, "bare") })
	}
	var all []result
	for range 9 {
		all = append(all, r.run())
	}
	slices.SortFunc(all, func(a, b result) int { return int(a.wall - b.wall) })
	r.t.add(r.mails, "nothing to do", all[len(all)/2], floors{{"ssh start", ssh}, {"two bare snapshots", snapshots}})
}

// thousand is a sync of 1,000 changes: of three the one with the median ratio.
// Before each of them the same kind of changes is made and synced, for its floors.
func (r *rig) thousand() {
	type round struct {
		result
		floors
	}
	online, home := filepath.Join(r.online.Path, "mail"), filepath.Join(r.home.Path, "mail")
	var all []round
	for i := range uint64(3) {
		r.settle()
		r.change(2*i+1, online, home)
		floors := r.incrementFloors()
		r.sync("", nil)
		r.sync("", nil) // folds in what the one before has done
		r.change(2*i+2, online, home)
		all = append(all, round{r.run(), floors})
		r.sync("", nil)
	}
	slices.SortFunc(all, func(a, b round) int { return cmp.Compare(a.ratio(a.floors), b.ratio(b.floors)) })
	r.t.add(r.mails, "1,000 changes", all[1].result, all[1].floors)
	r.t.note("of three, with ratios of %.2f, %.2f and %.2f", all[0].ratio(all[0].floors), all[1].ratio(all[1].floors), all[2].ratio(all[2].floors))
}

// settle waits until the kernel has cleared away the snapshots that were deleted:
// of a first sync's that is a minute's work, which would be measured with the rest.
func (r *rig) settle() {
	for _, fs := range []*btrfstest.FS{r.online, r.home} {
		run(r.B, "btrfs", "subvolume", "sync", fs.Path)
	}
	run(r.B, "sync")
}

func (r *rig) sync(name string, f floors) {
	res := r.run()
	if name != "" {
		r.t.add(r.mails, name, res, f)
	}
}

func run(b *testing.B, name string, args ...string) string {
	b.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		b.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func timed(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

func median(n int, f func() time.Duration) time.Duration {
	var all []time.Duration
	for range n {
		all = append(all, f())
	}
	slices.Sort(all)
	return all[n/2]
}

func dropCaches(b *testing.B) {
	b.Helper()
	run(b, "sync")
	must(b, os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0))
}

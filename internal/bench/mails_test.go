package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const folders = 100

func (r *rig) folder(store string, n int) string {
	if n == 0 {
		return store
	}
	return filepath.Join(store, fmt.Sprintf(".f%02d", n))
}

// fill makes the online mailbox in the order in which mail arrives, spread at
// random over the folders; a fifth is smaller than 2 KB. Home is empty.
func (r *rig) fill() {
	rng := rand.New(rand.NewPCG(1, uint64(r.mails)))
	store := filepath.Join(r.online.Path, "mail")
	for i := range folders {
		makeMaildir(r, r.folder(store, i))
	}
	makeMaildir(r, filepath.Join(r.home.Path, "mail"))
	junk := lines(rng, 64<<10)
	for i := range r.mails {
		r.deliver(rng, junk, r.folder(store, rng.IntN(folders)), i)
	}
	run(r.B, "sync")
}

func makeMaildir(r *rig, dir string) {
	for _, sub := range []string{"cur", "new", "tmp"} {
		must(r.B, os.MkdirAll(filepath.Join(dir, sub), 0o700))
	}
}

func lines(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + rng.IntN(26))
		if i%70 == 69 {
			b[i] = '\n'
		}
	}
	return b
}

var epoch = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)

func (r *rig) deliver(rng *rand.Rand, junk []byte, folder string, i int) {
	size := 500 + rng.IntN(1500)
	if rng.IntN(10) >= 2 {
		size = 2000 + rng.IntN(14000)
	}
	text := append(fmt.Appendf(nil, "From: a%d@example.org\nSubject: mail %d\n\n", i, i), junk[rng.IntN(16<<10):]...)[:size]
	at := epoch.Add(time.Duration(i) * 3 * time.Minute)
	path := filepath.Join(folder, "cur", fmt.Sprintf("%d.M%dP%d.mx,S=%d:2,S", at.Unix(), rng.IntN(1e6), i, size))
	must(r.B, os.WriteFile(path, text, 0o600))
	must(r.B, os.Chtimes(path, at, at))
}

// uid is what mbsync(1) adds to a name, and who moves the file has to take away.
var uid = regexp.MustCompile(`,U=\d+`)

// change makes 1,000 changes at random places of two stores: 400 flags, 200 moves
// and 100 deletions, in either half of them, and 300 new mails in the first.
func (r *rig) change(seed uint64, online, home string) {
	rng := rand.New(rand.NewPCG(seed, 7))
	taken := map[string]bool{}
	for i, store := range []string{online, home} {
		mails := r.pick(rng, store, 350, taken)
		for n, path := range mails {
			name, dir := filepath.Base(path), filepath.Dir(path)
			switch {
			case n < 200:
				must(r.B, os.Rename(path, filepath.Join(dir, strings.TrimSuffix(name, "S")+[]string{"FS", "RS"}[i])))
			case n < 300:
				must(r.B, os.Rename(path, filepath.Join(r.folder(store, rng.IntN(folders)), "cur", uid.ReplaceAllString(name, ""))))
			default:
				must(r.B, os.Remove(path))
			}
		}
	}
	junk := lines(rng, 64<<10)
	for i := range 300 {
		r.deliver(rng, junk, r.folder(online, rng.IntN(folders)), int(seed)*1e7+i)
	}
}

// pick chooses mails of a store that were not changed yet.
func (r *rig) pick(rng *rand.Rand, store string, n int, taken map[string]bool) []string {
	all, err := filepath.Glob(filepath.Join(store, "cur", "*:2,S"))
	must(r.B, err)
	below, err := filepath.Glob(filepath.Join(store, ".f*", "cur", "*:2,S"))
	must(r.B, err)
	all = append(all, below...)
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var out []string
	for _, p := range all {
		if key := filepath.Base(p); !taken[key] && len(out) < n {
			taken[key] = true
			out = append(out, p)
		}
	}
	return out
}

package mirror

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/stream"
	"snapmerge/snapshot"
)

// small are limits that a test can exceed.
var small = stream.ReceiveLimits{Receive: 1 << 20, Messages: 300, Message: 1000, Depth: 20, Unnamed: 100}

// A victim is a btrfs with a mirror in it, and things that no stream may touch,
// there and elsewhere.
type victim struct {
	t      *testing.T
	fs     *btrfstest.FS
	home   string
	canary string
	before map[string]string
}

// base is what the mirror online.0 holds: mail, and two things that were refused.
const base = "mkdir cur 257; mkdir new 258; mkdir sub 259; mkdir sub/dir 260; mkfile cur/old 261; write cur/old 0 old-mail; " +
	"mkfile sub/file 262; write sub/file 0 a-file; symlink link 263 /etc/passwd; mkfile big 264; truncate big 2000; utimes cur/old 7"

func newVictim(t *testing.T) *victim {
	t.Helper()
	v := &victim{t: t, fs: btrfstest.New(t), canary: t.TempDir()}
	v.home = filepath.Join(v.fs.Path, "home")
	live := v.fs.Subvolume(t, "live")
	err := errors.Join(os.Mkdir(v.home, 0o700), os.WriteFile(live+"/secret", []byte("secret"), 0o600),
		os.WriteFile(v.home+"/record.toml", []byte("of the sync before"), 0o600), os.WriteFile(v.canary+"/canary", []byte("sings"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	first := full
	first.UUID = baseUUID
	o := Options{Dir: v.home, Name: "online.0", UUID: baseUUID, Limits: small}
	if _, err := Receive(t.Context(), o, bytesIn(script(t, first, base))); err != nil {
		t.Fatal(err)
	}
	v.fs.Snapshot(t, live, "home/offline.0")
	v.before = v.listing()
	return v
}

func (v *victim) listing() map[string]string {
	v.t.Helper()
	all := everything(v.t, v.fs.Path)
	for p, e := range everything(v.t, v.canary) {
		all[p] = e
	}
	delete(all, v.home) // its times change as the mirror comes and goes
	return all
}

// attack receives a stream. Whatever comes of it, nothing but the new mirror has
// changed; after an error there is none. look, if not nil, sees the mirror.
func (v *victim) attack(b []byte, increment bool, look func(root string)) error {
	v.t.Helper()
	o := Options{Dir: v.home, Name: "online.1", UUID: nowUUID, Limits: small}
	if increment {
		o.Parent, o.ParentUUID = "online.0", baseUUID
	}
	check := leaks(v.t)
	_, err := Receive(v.t.Context(), o, bytesIn(b))
	check()
	made := filepath.Join(v.home, "online.1")
	if err == nil {
		v.safe(made)
		if look != nil {
			look(made)
		}
		if err := snapshot.Delete(v.home, "online.1"); err != nil {
			v.t.Fatal(err)
		}
	}
	if diff := cmp.Diff(v.before, v.listing()); diff != "" {
		v.t.Fatalf("something else has changed (%v):\n%s", err, diff)
	}
	return err
}

// safe holds a mirror to what one may be.
func (v *victim) safe(root string) {
	v.t.Helper()
	for p := range everything(v.t, root) {
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			v.t.Fatal(err)
		}
		ok := st.Mode == unix.S_IFDIR|0o700 || st.Mode == unix.S_IFREG|0o600 || st.Mode == unix.S_IFREG && st.Size == 0
		if !ok || st.Uid != 0 || st.Gid != 0 || st.Size > small.Message && st.Mode&unix.S_IFMT == unix.S_IFREG {
			v.t.Errorf("%s: mode %o, owner %d:%d, %d bytes", p, st.Mode, st.Uid, st.Gid, st.Size)
		}
		names := make([]byte, 1000)
		n, err := unix.Llistxattr(p, names)
		if s := string(names[:n]); err != nil || s != "" && s != stream.RefusedXattr+"\x00" {
			v.t.Errorf("%s: extended attributes %q, %v", p, s, err)
		}
	}
}

// TestHostileFiles: the streams of package stream's testdata. Many make
// btrfs-receive(8) overwrite any file of the host.
func TestHostileFiles(t *testing.T) {
	v := newVictim(t)
	harmless := []string{"h09-setuid", "h10-device-node", "h11-capability-xattr", "h12-write-at-huge-offset", "h13-truncate-to-8EiB", "h38-chown-to-root"}
	files, err := filepath.Glob("../stream/testdata/hostile/*.stream")
	if err != nil || len(files) != 40 {
		t.Fatalf("%d streams, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".stream")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// They name UUIDs of their own; the one that is asked for is put in their place,
		// unless another one, or a wrong checksum, is the point of the stream.
		if name != "h08-snapshot-of-another-subvolume" && name != "h16-bad-crc" {
			b = rename(b)
		}
		err = v.attack(b, slices.ContainsFunc(chop(b), func(p []byte) bool { return len(p) > 10 && p[4] == byte(stream.Snapshot) }), nil)
		if ok := slices.Contains(harmless, name); ok != (err == nil) {
			t.Errorf("%s: %v, want it harmless: %v", name, err, ok)
		}
		t.Logf("%s: %v", name, err)
	}
}

// rename puts the UUIDs that are asked for into the first command of a stream.
func rename(b []byte) []byte {
	parts := chop(b)
	for _, p := range parts[1:] {
		if len(p) <= 10 || p[4] != byte(stream.Subvol) && p[4] != byte(stream.Snapshot) {
			continue
		}
		for at := 10; at+4 <= len(p); {
			n := int(p[at+2]) | int(p[at+3])<<8
			if p[at] == 1 && n == 16 && at+20 <= len(p) {
				copy(p[at+4:], nowUUID[:])
			}
			if p[at] == 20 && n == 16 && at+20 <= len(p) {
				copy(p[at+4:], baseUUID[:])
			}
			at += 4 + n
		}
		mend(p)
	}
	return join(parts...)
}

// valid is a stream with each kind of command, for what is made of it by chance.
const valid = "mkfile o1 300; rename o1 cur/new; write cur/new 0 abcdefgh; write cur/new 8 ijkl; truncate cur/new 11; chmod cur/new 0644; " +
	"chown cur/new 1000; utimes cur/new 99; setxattr cur/new user.a b; mkdir o2 301; rename o2 dir; mkfile o3 302; rename o3 dir/x; " +
	"clone dir/x 0 8 parent cur/old 0; clone dir/x 8 5 self cur/new 0; link dir/y dir/x; unlink dir/x; symlink o4 303 cur; rename o4 s; " +
	"link cur/older cur/old; unlink cur/old; mkfifo o5 304; rename o5 cur/f; rename sub dir/sub; unlink dir/sub/file; rmdir dir/sub/dir; rmdir dir/sub; " +
	"rmxattr cur/new user.a; utimes cur 5; utimes dir 6; utimes / 8"

// TestHostileTruncated: a stream that ends anywhere before its end is nothing.
func TestHostileTruncated(t *testing.T) {
	v := newVictim(t)
	b := script(t, increment, valid)
	if err := v.attack(b, true, nil); err != nil {
		t.Fatalf("the whole stream: %v", err)
	}
	cuts := map[int]bool{0: true, 1: true, len(b) - 1: true}
	at := 0
	for i, p := range chop(b) {
		at += len(p)
		cuts[at] = at < len(b) && i%2 == 0
		if i%7 == 0 {
			cuts[at-1], cuts[min(at+5, len(b)-1)], cuts[at-len(p)/2] = true, true, true
		}
	}
	n := 0
	for at, cut := range cuts {
		if !cut {
			continue
		}
		n++
		if err := v.attack(b[:at], true, nil); !errors.Is(err, ErrInput) {
			t.Errorf("%d of %d bytes: %v", at, len(b), err)
		}
	}
	t.Logf("%d cuts", n)
}

// TestHostileByChance: streams with flipped bits, without and with right
// checksums, and with commands left out, doubled or exchanged. Without: refused.
// With: whatever it is, nothing else changes. SNAPMERGE_SEED chooses others,
// SNAPMERGE_CASES is their number.
func TestHostileByChance(t *testing.T) {
	v := newVictim(t)
	good := script(t, increment, valid)
	seed, tries := uint64(1), 48
	if s := os.Getenv("SNAPMERGE_SEED"); s == "random" {
		seed = uint64(time.Now().UnixNano())
	} else if s != "" {
		fmt.Sscan(s, &seed)
	}
	if s := os.Getenv("SNAPMERGE_CASES"); s != "" {
		fmt.Sscan(s, &tries)
	}
	t.Logf("SNAPMERGE_SEED=%d SNAPMERGE_CASES=%d", seed, tries)
	r := rand.New(rand.NewPCG(seed, 0))
	passed := 0
	for n := range tries {
		parts := chop(slices.Clone(good))
		i, k := 1+r.IntN(len(parts)-1), 1+r.IntN(len(parts)-1)
		switch n % 6 {
		case 0, 1, 2:
			p := parts[i]
			p[r.IntN(len(p))] ^= 1 << r.IntN(8)
			if n%6 > 0 {
				mend(p)
			}
		case 3:
			parts[i], parts[k] = parts[k], parts[i]
		case 4:
			parts = slices.Insert(parts, i, parts[k])
		case 5:
			parts = slices.Delete(parts, i, i+1)
		}
		err := v.attack(join(parts...), true, nil)
		if n%6 == 0 && err == nil {
			t.Errorf("stream %d: a flipped bit passed", n)
		}
		if err == nil {
			passed++
		}
		if t.Failed() {
			t.Fatalf("stream %d of SNAPMERGE_SEED=%d: %v", n, seed, err)
		}
	}
	t.Logf("%d of %d passed as harmless", passed, tries)
}

package bench

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"snapmerge/internal/btrfstest"
)

// bareSnapshot takes a snapshot with btrfs(8), and deletes it untimed. The start
// of the command is part of it: a millisecond or two.
func (r *rig) bareSnapshot(fs *btrfstest.FS, name string) time.Duration {
	path := filepath.Join(fs.Path, name)
	took := timed(func() { run(r.B, "btrfs", "subvolume", "snapshot", "-r", filepath.Join(fs.Path, "mail"), path) })
	run(r.B, "btrfs", "subvolume", "delete", path)
	return took
}

// send writes a send stream into a file in memory, and returns how long the bare
// send into a pipe took.
func (r *rig) send(args ...string) (stream string, took time.Duration) {
	stream = filepath.Join("/dev/shm", fmt.Sprintf("snapmerge-bench-%d", os.Getpid()))
	r.Cleanup(func() { os.Remove(stream) })
	cmd := exec.Command("btrfs", append([]string{"send", "-q"}, args...)...)
	out, err := cmd.StdoutPipe()
	must(r.B, err)
	f, err := os.Create(stream)
	must(r.B, err)
	defer f.Close()
	took = timed(func() {
		must(r.B, cmd.Start())
		_, err := io.Copy(f, out)
		must(r.B, err)
		must(r.B, cmd.Wait())
	})
	return stream, took
}

// fullFloors are those of a first sync: btrfs send of everything, with cold caches
// and with warm ones, btrfs receive of that, and a clone of every mail. The pipe of
// all three (send, ssh, receive) has to do with as many processors as the sync has.
func (r *rig) fullFloors() floors {
	snap := filepath.Join(r.online.Path, "floor")
	run(r.B, "btrfs", "subvolume", "snapshot", "-r", filepath.Join(r.online.Path, "mail"), snap)
	dropCaches(r.B)
	_, cold := r.send(snap)
	piped := filepath.Join(r.home.Path, "piped")
	must(r.B, os.Mkdir(piped, 0o700))
	dropCaches(r.B)
	pipe := timed(func() {
		run(r.B, "sh", "-c", fmt.Sprintf("%s mx btrfs send -q %s </dev/null | btrfs receive -q %s && sync -f %s", r.bare, snap, piped, piped))
	})
	run(r.B, "btrfs", "subvolume", "delete", filepath.Join(piped, "floor"))
	must(r.B, os.Remove(piped))
	run(r.B, "sh", "-c", "cat "+snap+"/cur/* "+snap+"/.f*/cur/* >/dev/null 2>&1 || find "+snap+" -type f -exec cat {} + >/dev/null")
	stream, warm := r.send(snap)
	receive := timed(func() { run(r.B, "btrfs", "receive", "-q", "-f", stream, r.home.Path) })
	clone := timed(func() { r.cloneAll(filepath.Join(r.home.Path, "floor"), r.home.Subvolume(r.B, "clones")) })
	must(r.B, os.Remove(stream)) // it is memory
	for _, p := range []string{snap, filepath.Join(r.home.Path, "floor"), filepath.Join(r.home.Path, "clones")} {
		run(r.B, "btrfs", "subvolume", "delete", p)
	}
	return floors{{"cold send", cold}, {"warm send", warm}, {"btrfs receive", receive}, {"cold btrfs send through ssh into btrfs receive", pipe}, {"clones", clone},
		{"in all (the pipe and the clones)", pipe + clone},
		{"in all (the longer of warm send and receive, and the clones)", max(warm, receive) + clone}}
}

// cloneAll clones every mail below one directory into another, as few calls as it
// takes, and then makes all of it durable.
func (r *rig) cloneAll(from, to string) {
	dir, err := os.Open(to)
	must(r.B, err)
	defer dir.Close()
	n := 0
	must(r.B, filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		return cloneOne(dir, path, fmt.Sprint(n))
	}))
	must(r.B, unix.Syncfs(int(dir.Fd())))
}

func cloneOne(dir *os.File, path, name string) error {
	src, err := unix.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(src)
	dst, err := unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(dst)
	if err := unix.IoctlFileClone(dst, src); err != nil {
		return err
	}
	if err := unix.Fchown(dst, 5000, 5000); err != nil {
		return err
	}
	now := unix.NsecToTimespec(time.Now().UnixNano())
	if err := unix.UtimesNanoAt(dst, "", []unix.Timespec{now, now}, unix.AT_EMPTY_PATH); err != nil {
		return err
	}
	return unix.Linkat(dst, "", int(dir.Fd()), name, unix.AT_EMPTY_PATH)
}

// incrementFloors are those of a sync of changes that were just made: a snapshot of
// either side, which writes them out; the send of online's, btrfs receive of that on
// a copy of home's; home's changes by a send without data; and as many bare
// renames, clones and unlinks, on both sides, as the sync has to make.
func (r *rig) incrementFloors() floors {
	var snapshots, apply time.Duration
	now := map[*btrfstest.FS]string{}
	for _, fs := range []*btrfstest.FS{r.online, r.home} {
		now[fs] = filepath.Join(fs.Path, "floor")
		snapshots += timed(func() { run(r.B, "btrfs", "subvolume", "snapshot", "-r", filepath.Join(fs.Path, "mail"), now[fs]) })
	}
	stream, send := r.send("-p", r.base(r.online, "online."), now[r.online])
	// btrfs receive finds home's copy as the parent by its received UUID.
	at := filepath.Join(r.home.Path, "received")
	must(r.B, os.Mkdir(at, 0o700))
	receive := timed(func() {
		run(r.B, "btrfs", "receive", "-q", "-f", stream, at)
		run(r.B, "sync", "-f", at)
	})
	_, diff := r.send("--no-data", "-p", r.base(r.home, "offline."), now[r.home])
	apply = r.bareChanges(r.home, now[r.online]) + r.bareChanges(r.online, "")
	for _, p := range []string{now[r.online], now[r.home], filepath.Join(at, "floor")} {
		run(r.B, "btrfs", "subvolume", "delete", p)
	}
	must(r.B, os.Remove(at))
	return floors{{"snapshots", snapshots}, {"send", send}, {"btrfs receive and sync", receive}, {"send of home's without data", diff},
		{"bare renames, clones, unlinks, syncfs of both", apply},
		{"in all (send and receive at a time, beside home's)", snapshots + max(send+receive, diff) + apply}}
}

func (r *rig) base(fs *btrfstest.FS, prefix string) string {
	all, err := filepath.Glob(filepath.Join(fs.Path, "snapshots", prefix+"*"))
	must(r.B, err)
	newest, n := "", -1
	for _, p := range all {
		var k int
		if _, err := fmt.Sscanf(strings.TrimPrefix(filepath.Base(p), prefix), "%d", &k); err == nil && k > n {
			newest, n = p, k
		}
	}
	return newest
}

// bareChanges makes the changes of the other side in a writable snapshot of a store:
// 300 renames, 50 unlinks and, with a source, 300 clones.
func (r *rig) bareChanges(fs *btrfstest.FS, source string) time.Duration {
	scratch := filepath.Join(fs.Path, "scratch")
	run(r.B, "btrfs", "subvolume", "snapshot", filepath.Join(fs.Path, "mail"), scratch)
	defer run(r.B, "btrfs", "subvolume", "delete", scratch)
	found, err := filepath.Glob(filepath.Join(scratch, ".f*", "cur", "*"))
	must(r.B, err)
	found = found[:min(len(found), 350*(len(found)/400+1))]
	step := max(len(found)/350, 1)
	var mails []string
	for i := 0; i < len(found) && len(mails) < 350; i += step {
		mails = append(mails, found[i])
	}
	var sources []string
	if source != "" {
		sources, err = filepath.Glob(filepath.Join(source, ".f0*", "cur", "*"))
		must(r.B, err)
		sources = sources[:min(len(sources), 300)]
	}
	dir, err := os.Open(scratch)
	must(r.B, err)
	defer dir.Close()
	return timed(func() {
		for i, p := range mails {
			if i < 300 {
				must(r.B, os.Rename(p, p+"F"))
			} else {
				must(r.B, os.Remove(p))
			}
		}
		for i, p := range sources {
			if err := cloneOne(dir, p, fmt.Sprint("clone", i)); err != nil { // online is another file system here
				must(r.B, copyOne(dir, p, fmt.Sprint("clone", i)))
			}
		}
		must(r.B, unix.Syncfs(int(dir.Fd())))
	})
}

func copyOne(dir *os.File, path, name string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir.Name(), name), data, 0o600)
}

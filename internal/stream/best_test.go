package stream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"snapmerge/snapshot"
	"snapmerge/tree"
)

// TestBestChooses: one mail among many folders is sent, many mails in one folder
// are listed, and if nothing happened nothing is done.
func TestBestChooses(t *testing.T) {
	l := tree.Layout{}
	fill := func(folders, mails int) func(*world) {
		return func(w *world) {
			for f := range folders {
				w.script(fmt.Sprintf("folder .f%d", f))
				for m := range mails {
					w.script(fmt.Sprintf("mail .f%d/cur/%d:2,", f, m))
				}
			}
			unix.Sync()
		}
	}
	for _, c := range []struct {
		what           string
		before, change func(*world)
		way            Way
		changed        int
	}{
		{"nothing", fill(3, 3), func(*world) {}, Nothing, 0},
		{"one mail", fill(40, 10), func(w *world) { w.script("mv .f7/cur/1:2, .f7/cur/1:2,S") }, Sending, 1},
		{"many mails", fill(3, 300), func(w *world) {
			for m := range 200 {
				w.script(fmt.Sprintf("mv .f1/cur/%d:2, .f1/cur/%d:2,S", m, m))
			}
		}, Listing, 200},
	} {
		base, now := pairOf(t, l, c.before, c.change)
		was, is := scanned(t, base, l), scanned(t, now, l)
		got, stats, err := Best(t.Context(), base, now, InMemory(was), l)
		if err != nil || stats.Way != c.way || stats.Failed != nil || len(got.Added) != c.changed {
			t.Errorf("%s: by %q, %d changes, %v, %v", c.what, stats.Way, len(got.Added), stats.Failed, err)
		}
		if d := diffChanges(tree.Diff(was, is), got); d != "" {
			t.Errorf("%s: -scans +got:\n%s", c.what, d)
		}
	}
}

// TestBestEnds: a context that is done is the error, whatever the way.
func TestBestEnds(t *testing.T) {
	base, now := pairOf(t, tree.Layout{}, func(w *world) {}, func(w *world) { w.script("mail cur/1") })
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	cancel(cause)
	if c, _, err := Best(ctx, base, now, InMemory(&tree.Tree{}), tree.Layout{}); !errors.Is(err, cause) || !c.Empty() {
		t.Errorf("%v", err)
	}
}

// TestBestElsewhere: without btrfs both stores are walked; so is a scan.
func TestBestElsewhere(t *testing.T) {
	l := tree.Layout{}
	var roots []*os.File
	for i := range 2 {
		dir := t.TempDir()
		if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
		w := &world{t: t, l: l, root: dir}
		w.script(fmt.Sprintf("folder .; mail cur/%d; folder .a", i))
		roots = append(roots, open(t, dir))
	}
	was, is := scanned(t, roots[0], l), scanned(t, roots[1], l)
	got, stats, err := Best(t.Context(), roots[0], roots[1], InMemory(was), l)
	if err != nil || stats.Way != Walking || !errors.Is(stats.Failed, snapshot.ErrNotSubvolume) {
		t.Fatalf("%+v, %v", stats, err)
	}
	if d := diffChanges(tree.Diff(was, is), got); d != "" || got.Empty() {
		t.Errorf("-scans +got:\n%s", d)
	}
	all, err := Scan(roots[1], l)
	if err != nil || len(all.Files) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestWithoutCapability: a process that may not search walks.
func TestWithoutCapability(t *testing.T) {
	l := tree.Layout{}
	base, now := pairOf(t, l, func(w *world) { w.script("mail cur/1") }, func(w *world) { w.script("mail cur/2") })
	was, is := scanned(t, base, l), scanned(t, now, l)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its lack of rights
		err := dropSysAdmin()
		if err != nil {
			done <- err
			return
		}
		if _, err := searchScan(now, l); !errors.Is(err, unix.EPERM) {
			done <- fmt.Errorf("search: %w, want EPERM", err)
			return
		}
		all, err := Scan(now, l)
		if err == nil && len(all.Files) != len(is.Files) {
			err = fmt.Errorf("%d files, want %d", len(all.Files), len(is.Files))
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Error(err)
	}
	go func() {
		runtime.LockOSThread()
		err := dropSysAdmin()
		if err == nil {
			_, err = look(context.Background(), base, now)
		}
		done <- err
	}()
	if err := <-done; !errors.Is(err, unix.EPERM) {
		t.Errorf("%v, want EPERM", err)
	}
	// Best's send runs on a thread of its own, which has the right.
	if _, stats, err := Best(t.Context(), base, now, InMemory(was), l); err != nil || stats.Way == Walking {
		t.Errorf("with the right: %+v, %v", stats, err)
	}
}

// dropSysAdmin takes the right away from the calling thread.
func dropSysAdmin() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_SYS_ADMIN
	return unix.Capset(&head, &data[0])
}

package engine

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"snapmerge/internal/btrfstest"
	"snapmerge/internal/config"
	"snapmerge/merge"
)

func TestMain(m *testing.M) { btrfstest.Main(m) }

func TestSmoke(t *testing.T) {
	fs := btrfstest.Shared(t)
	mb := config.Mailbox{Name: "chris"}
	p := merge.DefaultPolicy()
	mb.Merge = config.Merge{Prefer: p.Prefer, DeletedOnline: p.DeletedOnline, DeletedOffline: p.DeletedOffline, MaxDeletions: 100}
	mb.Rotate = config.Rotate{PreserveMin: "2d", Preserve: "14d"}
	for _, s := range []struct {
		st   *config.Store
		name string
	}{{&mb.Online, "online"}, {&mb.Offline, "offline"}} {
		s.st.Path = fs.Subvolume(t, s.name)
		s.st.Snapshots = filepath.Join(fs.Path, "snap-"+s.name)
		must(t, os.Mkdir(s.st.Snapshots, 0o700))
		for _, d := range []string{"cur", "new", "tmp", ".work/cur", ".work/new", ".work/tmp"} {
			must(t, os.MkdirAll(filepath.Join(s.st.Path, d), 0o700))
		}
	}
	write := func(p, body string) { must(t, os.WriteFile(p, []byte(body), 0o600)) }
	write(mb.Online.Path+"/cur/1.a.host,S=6:2,S", "From: ")
	write(mb.Online.Path+"/cur/2.b.host,S=6:2,", "Frzm: ")
	write(mb.Online.Path+"/new/3.c.host,S=6", "Frzm: ")
	sync := func() {
		res, err := Sync(context.Background(), mb, filepath.Join(fs.Path, "state"), Options{})
		must(t, err)
		t.Logf("%+v", res.Record.Report.Totals)
		for _, a := range res.Record.Report.Actions {
			t.Logf("   %+v", a)
		}
		t.Log(res.Notes, res.Record.Pending)
	}
	sync()
	sync()
	must(t, os.Rename(mb.Online.Path+"/cur/1.a.host,S=6:2,S", mb.Online.Path+"/cur/1.a.host,S=6:2,FS"))
	must(t, os.Rename(mb.Offline.Path+"/cur/1.a.host,S=6:2,S", mb.Offline.Path+"/.work/cur/1.a.host,S=6:2,S"))
	sync()
	sync()
	must(t, os.RemoveAll(filepath.Join(fs.Path, "state")))
	sync()
	out, _ := filepath.Glob(mb.Online.Path + "/.work/cur/*")
	t.Log(out)
	out, _ = filepath.Glob(mb.Offline.Path + "/.work/cur/*")
	t.Log(out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package crashtest

import (
	"os"
	"testing"
)

// TestRenamedAfterMade: a sync has made a folder, which its snapshots do not show
// yet, and a client renames it before the next one. It is renamed on the other
// side too: emptied and filled again, its mail would cost all clients their UIDs.
func TestRenamedAfterMade(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(w *world)
		want string
		did  []string
	}{
		{"at home", func(w *world) { w.offline.renameFolder("a", "b") }, "b:S", []string{"online rename-folder a b done"}},
		{"at home, and the index is lost", func(w *world) {
			w.offline.renameFolder("a", "b")
			must(t, os.RemoveAll(stateDir(w.dir)))
		}, "b:S", []string{"online rename-folder a b done"}},
		{"on both sides alike", func(w *world) {
			w.offline.renameFolder("a", "b")
			w.online.renameFolder("a", "b")
		}, "b:S", nil},
		{"at home, and the old name is another folder's", func(w *world) {
			w.offline.renameFolder("a", "b")
			w.offline.makeFolder("a")
		}, "b:S", []string{"online make-folder b done", "online move m a b done"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := fresh(t, "a")
			w.online.deliver("a", "m", "S", 1)
			w.sync()
			before := files(t, w.offline.path)
			tt.then(w)
			wantDid(t, w.sync(), tt.did...)
			w.wantWhere("m", [2]string{tt.want, tt.want})
			w.untouched(before)
			w.settled()
		})
	}
}

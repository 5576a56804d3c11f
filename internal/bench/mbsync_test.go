package bench

import (
	"fmt"
	"os"
	"path/filepath"
)

const mbsyncConfig = `FSync no

MaildirStore far
Inbox %[1]s
SubFolders Maildir++

MaildirStore near
Inbox %[2]s
SubFolders Maildir++

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
Sync All
SyncState *
`

// mbsync has mbsync(1) do the same: copy the mailbox, and then bring in step 1,000
// changes of the same kind. Both stores are directories of this machine, so there is
// no connection, and nothing is made durable.
func (r *rig) mbsync() {
	far, near := filepath.Join(r.online.Path, "far"), filepath.Join(r.home.Path, "near")
	run(r.B, "btrfs", "subvolume", "snapshot", filepath.Join(r.online.Path, "mail"), far)
	makeMaildir(r, near)
	config := filepath.Join(r.B.TempDir(), "mbsyncrc")
	must(r.B, os.WriteFile(config, fmt.Appendf(nil, mbsyncConfig, far, near), 0o600))
	for _, what := range []string{"first", "nothing to do", "1,000 changes"} {
		if what == "1,000 changes" {
			r.change(7, far, near)
		}
		_, u := measured(r.B, "mbsync", "-q", "-c", config, "-a")
		fmt.Fprintf(r.t, "%d mails, %s, by mbsync without fsync: %s, %s CPU, %d MiB\n", r.mails, what, short(u.Wall), short(u.CPU), u.Memory>>20)
	}
}

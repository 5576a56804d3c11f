package engine

import (
	"snapmerge/internal/config"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// Stored returns how much mail each side has as the last sync left it: what its
// snapshots show, and what it then did. ok is false if the index is not of that
// sync, or is not there: the next sync makes it again.
func Stored(stateDir string, mb config.Mailbox, rec *state.Record) (out [2]state.Stored, ok bool) {
	x, err := state.OpenReadOnly(IndexPath(stateDir, mb.Name))
	if err != nil {
		return out, false
	}
	defer x.Close()
	meta, err := x.Meta()
	if err != nil || meta.Sync != rec.Sync {
		return out, false
	}
	if out, err = x.Stored(); err != nil {
		return out, false
	}
	for _, a := range rec.Report.Actions {
		if a.Effect != state.Done || (a.Op != merge.Delete.String() && a.Op != merge.Expire.String()) || a.Before == nil {
			continue
		}
		for _, isNew := range []bool{false, true} {
			if f, err := x.File(a.Side, a.From, isNew, a.Before.Name); err == nil && f != nil {
				out[a.Side].Mails--
				out[a.Side].Bytes -= f.File.Size
			}
		}
	}
	for _, o := range rec.Pending.Own { // files that were not there before
		if found, err := x.ByIno(o.Side, o.File.Ino); err == nil && len(found) == 0 {
			out[o.Side].Mails++
			out[o.Side].Bytes += o.File.Size
		}
	}
	return out, true
}

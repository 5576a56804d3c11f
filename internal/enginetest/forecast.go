package enginetest

import (
	"context"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/internal/engine"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

// A fate is what comes of a folder's mail online.
type fate struct {
	Mails int
	Bytes int64
}

// checkForecast: what "status --rules" says, from the index alone, is what a sync
// would expire that day if nobody did anything before. The day is three weeks on:
// mail gets old. What comes home only then, out of online's new/, it does not know:
// with such a rule this is not asked.
func (w *world) checkForecast(last *state.Record) (due int) {
	w.t.Helper()
	if w.oracle.includeNew > 1 {
		return 0
	}
	now := w.clock.AddDate(0, 0, 21)
	f, err := engine.NewForecast(w.mailbox(), w.state, last, now)
	w.must(err)
	said := map[string]fate{}
	for _, r := range f.Folders {
		if r.Due > 0 {
			said[r.Folder] = fate{r.Due, r.DueBytes}
			due += r.Due
		}
	}
	if d := cmp.Diff(w.dryExpiry(now), said); d != "" {
		w.fail("status --rules", "expires (-sync +status):\n%s", d)
	}
	return due
}

// dryExpiry is what a sync at that moment would expire, by folder.
func (w *world) dryExpiry(now time.Time) map[string]fate {
	w.t.Helper()
	res, err := engine.Sync(context.Background(), w.mailbox(), w.state, engine.Options{DryRun: true, Now: func() time.Time { return now }, Connect: w.connect})
	w.must(err)
	out := map[string]fate{}
	for _, a := range res.Record.Report.Actions {
		if a.Op == merge.Expire.String() {
			f := out[a.From]
			f.Mails++
			f.Bytes += a.Freed
			out[a.From] = f
		}
	}
	return out
}

package engine

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"snapmerge/internal/config"
	"snapmerge/internal/state"
	"snapmerge/merge"
	"snapmerge/tree"
)

// A FolderRule is what the configuration says of a folder's mail, and what comes
// of it.
type FolderRule struct {
	merge.Retention
	Due      int   // mails online that a sync would expire now
	DueBytes int64 // their length
	// Next is when the time of the first of the other mails online is over; zero if
	// that of none ever is.
	Next time.Time
	// Filed is when mail in it is filed next on that side, which may be now; zero if
	// there is none to be filed.
	Filed [2]time.Time
}

// A Forecast is what rules would do to a mailbox now. It is made from the index,
// so it knows the mail of the last sync.
type Forecast struct {
	Folders []FolderRule // sorted by name
	Notes   []string     // what would not be done although its time has come, and why
}

// ErrNoIndex: the index is missing, or is not of the last sync. The next sync
// makes it anew.
var ErrNoIndex = errors.New("the index is not of the last sync: the next sync makes it anew")

// NewForecast looks at every folder that the sync of rec has left, and asks the
// planner itself about the mail whose time is over. The cost goes with that mail.
//
// Without an index it is the rules alone, and the error is [ErrNoIndex].
func NewForecast(mb config.Mailbox, stateDir string, rec *state.Record, now time.Time) (*Forecast, error) {
	f := &forecaster{mb: mb, rec: rec, policy: mb.Policy(now), agreed: map[string][2][]tree.Placement{}, held: map[string]bool{}}
	f.policy.LastSync = rec.Pending.LastSync
	defer f.close()
	for _, a := range rec.Pending.Agreed {
		f.agreed[a.Message] = a.Base
	}
	for _, h := range rec.Pending.Held {
		f.held[h.Message] = true
	}
	err := f.open(IndexPath(stateDir, mb.Name))
	if err != nil {
		err = fmt.Errorf("%w (%w)", ErrNoIndex, err)
	} else {
		err = f.look()
	}
	out := &Forecast{Notes: f.notes}
	for _, name := range f.names() {
		r := f.folders[name]
		if r == nil {
			r = &FolderRule{}
		}
		r.Retention = f.policy.Retention(name)
		out.Folders = append(out.Folders, *r)
	}
	return out, err
}

// A forecaster makes a forecast.
type forecaster struct {
	mb     config.Mailbox
	rec    *state.Record
	policy merge.Policy
	// While rows yields files it takes no question: those are for index.
	index, rows *state.Index
	base        [2]*base
	snapshots   [2]*frozen // opened when a mail is read
	agreed      map[string][2][]tree.Placement
	held        map[string]bool // waits for a person: nothing is done to it
	due         []string        // messages
	folders     map[string]*FolderRule
	notes       []string
}

func (f *forecaster) open(path string) (err error) {
	f.folders = map[string]*FolderRule{}
	if f.index, err = state.OpenReadOnly(path); err != nil {
		return err
	}
	if f.rows, err = state.OpenReadOnly(path); err != nil {
		return err
	}
	for _, x := range []*state.Index{f.index, f.rows} {
		if err := x.BeginReading(); err != nil { // of one sync from now on
			return err
		}
		if meta, err := x.Meta(); err != nil || meta != f.rec.Meta {
			return errors.Join(err, fmt.Errorf("it is of sync %d", meta.Sync))
		}
	}
	for _, side := range merge.Sides {
		f.base[side] = newBase(f.index, side)
	}
	return nil
}

func (f *forecaster) close() {
	for _, x := range []*state.Index{f.index, f.rows} {
		if x != nil {
			x.Close() // read only
		}
	}
	for _, z := range f.snapshots {
		if z != nil {
			z.root.Close()
		}
	}
}

// names returns the folders of both sides: those that the snapshots show, and what
// the sync then did to them.
func (f *forecaster) names() []string {
	all := map[string]bool{}
	for _, side := range merge.Sides {
		have := map[string]bool{}
		if f.base[side] != nil {
			for _, folder := range f.base[side].folders {
				have[folder.Name] = true
			}
		}
		for _, a := range f.rec.Report.Actions {
			if a.Message != "" || a.Op == opSubscribe || a.Op == opUnsubscribe || a.Side != side || a.Effect != state.Done {
				continue
			}
			delete(have, a.From)
			if a.To != "" {
				have[a.To] = true
			}
		}
		maps.Copy(all, have)
	}
	for _, name := range f.rec.Pending.Folders {
		all[name] = true
	}
	return sortedKeys(all)
}

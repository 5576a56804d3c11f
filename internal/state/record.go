package state

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"snapmerge/internal/codec"
	"snapmerge/merge"
	"snapmerge/tree"
)

// A Record is what one finished sync leaves behind.
type Record struct {
	Meta
	Previous          int // the sync before: numbers can be missing in between
	Started, Finished time.Time
	Report            Report
	Pending           Pending
}

// A Report says what a sync did. What it planned and did not do is in Actions
// too, with its outcome.
type Report struct {
	Totals
	Actions []ReportAction
	Met     []merge.Conflict // in this sync, decided and waiting ones
	Notes   []string         // what was not done although its time had come, and why
	Expiry  []Expiry         // by folder
	// Decided are the answers that the sync acted on, by conflict ID: who, when, what.
	Decided map[string]Decided
	// MaxDeletions is what was given for this sync alone, in place of the
	// configuration; nil: nothing was.
	MaxDeletions *int
}

// An Expiry says what a sync expired online from a folder. What was in archive
// subfolders counts for their base.
type Expiry struct {
	Folder string
	Mails  int
	Bytes  int64
	Oldest time.Time // when the oldest of the mail left there was received; zero if none is
}

// Totals are a sync's counts, under the names that "sync --json" has for them.
type Totals struct {
	Offline       Counts  `json:"offline"`
	Online        Counts  `json:"online"`
	Held          int     `json:"held"`      // waiting for a decision after the sync
	Conflicts     int     `json:"conflicts"` // met, but for plain deletions
	Raced         int     `json:"raced"`
	Refused       int     `json:"refused"` // names refused in this sync
	WaitingInNew  int     `json:"waiting_in_new"`
	ReceivedBytes int64   `json:"received_bytes"`
	Seconds       float64 `json:"seconds"`
}

// Counts are what was done on one side.
type Counts struct {
	Placed  int `json:"placed"`
	Copied  int `json:"copied"`
	Moved   int `json:"moved"`
	Flagged int `json:"flagged"`
	Deleted int `json:"deleted"`
	Folders int `json:"folders"`
	Expired int `json:"expired"` // online only
	// Subscriptions are the folders that were subscribed or unsubscribed.
	Subscriptions int `json:"subscriptions"`
	// ExpiredBytes is what the expired mail took, by its length.
	ExpiredBytes int64 `json:"expired_bytes"`
}

// A ReportAction is one action and what became of it.
type ReportAction struct {
	Side     merge.Side
	Op       string // merge.Op or merge.FolderOp as text
	Message  string `json:",omitempty"`
	From, To string `json:",omitempty"` // folders
	Rule     string `json:",omitempty"`
	Before   *Named `json:",omitempty"` // nil if there was nothing
	After    *Named `json:",omitempty"` // nil if nothing is left
	// Copy is where a deleted mail can be read for as long as that snapshot is kept.
	Copy   *SnapshotFile `json:",omitempty"`
	Freed  int64         `json:",omitempty"` // bytes of a mail that was expired
	Effect Effect
	Why    string `json:",omitempty"` // where it was not done, or not all of it
}

// Named is a file's name on disk and what it says.
type Named struct {
	Name     string
	Flags    tree.Flags
	Keywords []string `json:",omitempty"`
}

// An Effect is what became of an action.
type Effect string

// The effects of an action.
const (
	Done   Effect = "done"
	Raced  Effect = "raced"  // somebody was faster: left alone, the next sync decides
	Failed Effect = "failed" // the next sync tries again
)

// A Summary is a record without its particulars, quick to read.
type Summary struct {
	Meta
	Started, Finished time.Time
	Totals
}

// details are the rest of a record, in parts of a line each.
type details struct {
	Previous int              `json:",omitempty"` // 0 also where an earlier version wrote the record
	Actions  []ReportAction   `json:",omitempty"`
	Met      []merge.Conflict `json:",omitempty"`
	Notes    []string         `json:",omitempty"`
	Expiry   []Expiry         `json:",omitempty"`
	Pending  Pending          `json:",omitzero"`

	Decided      map[string]Decided `json:",omitempty"`
	MaxDeletions *int               `json:",omitempty"`
}

const recordKind = "sync"

func recordName(sync int) string { return fmt.Sprintf("sync.%d.json", sync) }

// WriteRecord writes sync.N.json into the snapshots directory, with mode 0600.
// When it returns, the record is durable; after a crash it is there as a whole
// or not at all. There is one of each N: a second one is fs.ErrExist.
func WriteRecord(dir *os.File, r *Record) error {
	name := recordName(r.Sync)
	lines := []line{encoded(Summary{r.Meta, r.Started, r.Finished, r.Report.Totals})}
	all := details{
		Previous: r.Previous, Actions: r.Report.Actions, Met: r.Report.Met, Notes: r.Report.Notes, Expiry: r.Report.Expiry,
		Pending: r.Pending, Decided: r.Report.Decided, MaxDeletions: r.Report.MaxDeletions,
	}
	for _, part := range all.parts(partLen) {
		lines = append(lines, encoded(part))
	}
	f, err := publish(dir, name, false, sealed(recordKind, lines...))
	if err != nil {
		return fmt.Errorf("write %q: %w", name, err)
	}
	return f.Close()
}

// ReadSummary reads the first part of the record of that sync only.
// Errors: fs.ErrNotExist, [ErrDamaged], [ErrVersion].
func ReadSummary(dir *os.File, sync int) (*Summary, error) {
	return readRecord(dir, sync, 1, nil)
}

// ReadRecord reads the record of that sync and checks its checksums.
// Errors: fs.ErrNotExist, [ErrDamaged], [ErrVersion].
func ReadRecord(dir *os.File, sync int) (*Record, error) {
	var d *details
	s, err := readRecord(dir, sync, -1, func(line []byte) error {
		if d == nil {
			d = new(details)
			return codec.Decode(line, d)
		}
		var part details
		err := codec.Decode(line, &part)
		d.add(part)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &Record{
		Meta: s.Meta, Previous: d.Previous, Started: s.Started, Finished: s.Finished,
		Report: Report{
			Totals: s.Totals, Actions: d.Actions, Met: d.Met, Notes: d.Notes, Expiry: d.Expiry,
			Decided: d.Decided, MaxDeletions: d.MaxDeletions,
		},
		Pending: d.Pending,
	}, nil
}

// checkRecord reads the first part and checks the checksums of the rest.
func checkRecord(dir *os.File, sync int) (*Summary, error) {
	return readRecord(dir, sync, -1, func([]byte) error { return nil })
}

// readRecord reads the first n lines after the seal, all if n is negative: the
// first is the summary, rest gets the others.
func readRecord(dir *os.File, sync, n int, rest func(line []byte) error) (s *Summary, err error) {
	name := recordName(sync)
	f, err := open(dir, name)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	defer f.Close()
	lines := 0
	err = unseal(bufio.NewReader(f), recordKind, n, func(i int, line []byte) error {
		lines++
		if i > 0 {
			return asDamage(rest(line))
		}
		s = new(Summary)
		err := codec.Decode(line, s)
		if err == nil && s.Sync != sync {
			err = fmt.Errorf("it is that of sync %d", s.Sync)
		}
		return asDamage(err)
	})
	if err == nil && n < 0 && lines < 2 {
		err = fmt.Errorf("%w: it has a summary only", ErrDamaged)
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", name, err)
	}
	return s, nil
}

// ListRecords returns the syncs of which the directory has a record, the newest
// last. It does not look into them.
func ListRecords(dir *os.File) ([]int, error) {
	// A handle of its own: the position of a directory handle is shared.
	entries, err := fs.ReadDir(os.DirFS(fmt.Sprintf("/proc/self/fd/%d", dir.Fd())), ".")
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", dir.Name(), err)
	}
	var syncs []int
	for _, e := range entries {
		digits, _ := strings.CutSuffix(strings.TrimPrefix(e.Name(), "sync."), ".json")
		n, err := strconv.Atoi(digits)
		if err == nil && n > 0 && e.Name() == recordName(n) {
			syncs = append(syncs, n)
		}
	}
	slices.Sort(syncs)
	return syncs, nil
}

// NewestRecord returns the newest record that can be read, nil if there is none,
// and with it the errors of newer ones that are damaged. A record written by a
// newer program is an error, never passed over.
func NewestRecord(dir *os.File) (r *Record, damaged []error, err error) {
	return newest(dir, ReadRecord)
}

// NewestSummary returns the first part of the newest record, as [NewestRecord]
// does the whole. The rest is checked against its checksums only: that of a first
// sync is long.
func NewestSummary(dir *os.File) (s *Summary, damaged []error, err error) {
	return newest(dir, checkRecord)
}

func newest[T any](dir *os.File, read func(*os.File, int) (*T, error)) (r *T, damaged []error, err error) {
	syncs, err := ListRecords(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range slices.Backward(syncs) {
		r, err := read(dir, n)
		if errors.Is(err, ErrDamaged) {
			damaged = append(damaged, err)
			continue
		}
		return r, damaged, err
	}
	return nil, damaged, nil
}

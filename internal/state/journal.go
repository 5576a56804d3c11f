package state

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"time"

	"snapmerge/internal/codec"
	"snapmerge/merge"
	"snapmerge/tree"
)

// The errors about a journal that a caller must tell apart.
var (
	// ErrJournalExists: an earlier sync was not finished.
	ErrJournalExists = errors.New("an unfinished sync is there")
	// ErrNoIntent: no sync had begun to change anything.
	ErrNoIntent = errors.New("no unfinished sync")
)

const (
	journalName = "journal"
	journalKind = "journal"
)

// An Intent is all that a sync is going to do.
type Intent struct {
	Meta     // with the snapshots that become the next base
	Started  time.Time
	Outcomes []merge.Outcome
	Steps    []Step // in the order in which they are carried out
	// Earlier is what interrupted syncs before this one have done, for the report.
	Earlier []ReportAction
}

// A Step is one change of a store: of a folder, or of one file. One of Folder
// and Action is set.
type Step struct {
	Folder *merge.FolderAction `json:",omitempty"`
	Action *merge.Action       `json:",omitempty"`
	// Before is the file as the snapshot shows it, nil where there is none.
	// After is the file as it is to be, nil if it goes; the inode of one that is
	// yet to be made is 0.
	Before *tree.File `json:",omitempty"`
	After  *tree.File `json:",omitempty"`
}

// An Ack tells that steps were carried out, and that what they did is durable.
type Ack struct {
	Results []StepResult
}

// A StepResult is what became of a step.
type StepResult struct {
	Step    int // index into Intent.Steps
	Effect  Effect
	File    *tree.File `json:",omitempty"` // as it is on disk now
	Missing []string   `json:",omitempty"` // keywords that found no free letter
	Why     string     `json:",omitempty"`
}

// A journalLine is one line of the file: first the header, then outcomes and
// steps, then the end, then the acknowledgements.
type journalLine struct {
	Header  *header        `json:",omitempty"`
	Outcome *merge.Outcome `json:",omitempty"`
	Step    *Step          `json:",omitempty"`
	End     *end           `json:",omitempty"`
}

type header struct {
	Snapmerge string
	Version   int
	Meta
	Started time.Time
	Earlier []ReportAction `json:",omitempty"`
}

// end closes the intent: the number of lines before it and their SHA-256.
type end struct {
	Lines  int
	SHA256 string
}

// ackLine carries its own checksum, as the last one may be torn.
type ackLine struct {
	Ack    json.RawMessage
	SHA256 string
}

// A Journal is the journal of the sync that is running.
type Journal struct {
	dir *os.File
	f   *os.File
	err error // of the first Ack that went wrong
}

// Begin writes the intent. When it returns, the intent is durable, and the
// stores may be changed. It gets its name only when it is complete, so a crash
// before that leaves no journal and nothing was changed. A journal that is
// there already stays: [ErrJournalExists].
func Begin(dir *os.File, in *Intent) (*Journal, error) {
	f, err := publish(dir, journalName, false, func(f *os.File) error { return writeIntent(f, in) })
	if errors.Is(err, fs.ErrExist) {
		err = ErrJournalExists
	}
	if err != nil {
		return nil, fmt.Errorf("write journal of sync %d: %w", in.Sync, err)
	}
	return &Journal{dir: dir, f: f}, nil
}

// Replace is Begin for a run that finds the journal of an interrupted sync and
// carries on from there: at every moment one of the two is there, as a whole.
// The new one must say all that counts of the old one.
func Replace(dir *os.File, in *Intent) (*Journal, error) {
	f, err := publish(dir, journalName, true, func(f *os.File) error { return writeIntent(f, in) })
	if err != nil {
		return nil, fmt.Errorf("write journal of sync %d: %w", in.Sync, err)
	}
	return &Journal{dir: dir, f: f}, nil
}

func writeIntent(w io.Writer, in *Intent) error {
	buf := bufio.NewWriterSize(w, 1<<20)
	lines, h := 0, sha256.New()
	put := func(l journalLine) error {
		data, err := codec.Encode(l)
		if err != nil {
			return err
		}
		lines++
		_, err = io.MultiWriter(buf, h).Write(append(data, '\n'))
		return err
	}
	if err := put(journalLine{Header: &header{journalKind, version, in.Meta, in.Started, in.Earlier}}); err != nil {
		return err
	}
	for i := range in.Outcomes {
		if err := put(journalLine{Outcome: &in.Outcomes[i]}); err != nil {
			return err
		}
	}
	for i := range in.Steps {
		if err := put(journalLine{Step: &in.Steps[i]}); err != nil {
			return err
		}
	}
	if err := put(journalLine{End: &end{lines, hex.EncodeToString(h.Sum(nil))}}); err != nil {
		return err
	}
	return buf.Flush()
}

// Ack appends results. The caller has made their effects durable before
// (syncfs); when Ack returns, so is the acknowledgement. After an error the
// journal takes no more: half a line may be its end.
func (j *Journal) Ack(a Ack) error {
	if j.err == nil {
		j.err = j.ack(a)
	}
	if j.err != nil {
		return fmt.Errorf("acknowledge in journal: %w", j.err)
	}
	return nil
}

func (j *Journal) ack(a Ack) error {
	data, err := codec.Encode(a)
	if err != nil {
		return err
	}
	line, err := json.Marshal(ackLine{data, sum(data)})
	if err != nil {
		return err
	}
	if _, err := j.f.Write(append(line, '\n')); err != nil {
		return err
	}
	return j.f.Sync()
}

// Remove takes the journal away, as the last thing of a sync: the record is
// written and says all that the journal did.
func (j *Journal) Remove() error {
	return errors.Join(j.f.Close(), RemoveJournal(j.dir))
}

// RemoveJournal takes away the journal of an earlier run whose sync is recorded
// now. That it is gone already is no error.
func RemoveJournal(dir *os.File) error {
	if err := remove(dir, journalName); err != nil {
		return fmt.Errorf("remove journal: %w", err)
	}
	return nil
}

// ReadJournal returns what an unfinished sync was about to do and what of it was
// acknowledged. What was not acknowledged may have been done all the same. An
// acknowledgement that is cut off at the end of the file is none.
//
// Errors: [ErrNoIntent] if there is no journal, so no store was changed;
// [ErrDamaged], which says nothing about the stores; [ErrVersion].
func ReadJournal(dir *os.File) (*Intent, []Ack, error) {
	f, err := open(dir, journalName)
	if isGone(err) {
		return nil, nil, ErrNoIntent
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read journal: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	in, err := readIntent(r)
	if err != nil {
		return nil, nil, fmt.Errorf("read journal: %w", err)
	}
	acks, err := readAcks(r, len(in.Steps))
	if err != nil {
		return nil, nil, fmt.Errorf("read journal of sync %d: %w", in.Sync, err)
	}
	return in, acks, nil
}

func readIntent(r *bufio.Reader) (*Intent, error) {
	in := &Intent{}
	h := sha256.New()
	for lines := 0; ; lines++ {
		data, err := readLine(r)
		if err != nil {
			return nil, err
		}
		var l journalLine
		if err := codec.Decode(data, &l); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrDamaged, lines+1, err)
		}
		if (l.Header != nil) != (lines == 0) {
			return nil, fmt.Errorf("%w: line %d: header out of place", ErrDamaged, lines+1)
		}
		if l.End != nil {
			return in, checkEnd(l.End, lines, h)
		}
		if err := in.add(l); err != nil {
			return nil, err
		}
		h.Write(append(data, '\n'))
	}
}

func (in *Intent) add(l journalLine) error {
	switch {
	case l.Header != nil:
		in.Meta, in.Started, in.Earlier = l.Header.Meta, l.Header.Started, l.Header.Earlier
		return checkVersion(l.Header.Snapmerge, journalKind, l.Header.Version)
	case l.Outcome != nil:
		in.Outcomes = append(in.Outcomes, *l.Outcome)
	case l.Step != nil:
		in.Steps = append(in.Steps, *l.Step)
	}
	return nil
}

func checkEnd(e *end, lines int, h hash.Hash) error {
	if e.Lines != lines || e.SHA256 != hex.EncodeToString(h.Sum(nil)) {
		return fmt.Errorf("%w: wrong checksum", ErrDamaged)
	}
	return nil
}

// readAcks reads to the end. Each Ack was durable before the next was written,
// so only the last line can be torn; any other that is bad is damage.
func readAcks(r *bufio.Reader, steps int) (acks []Ack, err error) {
	for {
		data, err := r.ReadBytes('\n')
		if err == io.EOF {
			return acks, nil // nothing, or a line that was cut off
		}
		if err != nil {
			return nil, err
		}
		a, err := readAck(data, steps)
		if err == nil {
			acks = append(acks, a)
			continue
		}
		if _, e := r.Peek(1); e == io.EOF {
			return acks, nil
		}
		return nil, fmt.Errorf("%w: acknowledgement %d: %w", ErrDamaged, len(acks)+1, err)
	}
}

func readAck(data []byte, steps int) (a Ack, err error) {
	var l ackLine
	if err := json.Unmarshal(data, &l); err != nil {
		return a, err
	}
	if sum(l.Ack) != l.SHA256 {
		return a, errors.New("wrong checksum")
	}
	if err := codec.Decode(l.Ack, &a); err != nil {
		return a, err
	}
	for _, res := range a.Results {
		if res.Step < 0 || res.Step >= steps {
			return a, fmt.Errorf("step %d of %d", res.Step, steps)
		}
	}
	return a, nil
}

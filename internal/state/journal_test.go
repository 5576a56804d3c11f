package state

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"snapmerge/merge"
	"snapmerge/tree"
)

var genIntent = rapid.Custom(func(t *rapid.T) *Intent {
	placement := rapid.Ptr(genPlacement, true)
	slots := rapid.Custom(func(t *rapid.T) (s merge.Slot) {
		for _, p := range []*[2]*tree.Placement{&s.Base, &s.Now, &s.Result} {
			p[0], p[1] = placement.Draw(t, "online"), placement.Draw(t, "offline")
		}
		return s
	})
	outcome := rapid.Custom(func(t *rapid.T) merge.Outcome {
		return merge.Outcome{Message: genText.Draw(t, "message"), Held: rapid.Bool().Draw(t, "held"),
			Slots: rapid.SliceOfN(slots, 0, 2).Draw(t, "slots"), Retain: genPlacements.Draw(t, "retain")}
	})
	file := rapid.Ptr(genFile, true)
	step := rapid.Custom(func(t *rapid.T) Step {
		if rapid.Bool().Draw(t, "folder") {
			return Step{Folder: &merge.FolderAction{Side: genSide.Draw(t, "side"), Op: merge.RenameFolder, From: "a", To: "b"}}
		}
		return Step{
			Action: &merge.Action{Side: genSide.Draw(t, "side"), Op: merge.Move, Message: genText.Draw(t, "message"),
				From: "a", To: "b", Flags: tree.Seen, Keywords: []string{genText.Draw(t, "keyword")}, Rule: "4", Slot: 1},
			Before: file.Draw(t, "before"), After: file.Draw(t, "after"),
		}
	})
	return &Intent{Meta: genMeta.Draw(t, "meta"), Started: genTime.Draw(t, "started"),
		Outcomes: rapid.SliceOfN(outcome, 0, 3).Draw(t, "outcomes"), Steps: rapid.SliceOfN(step, 1, 4).Draw(t, "steps"),
		Earlier: rapid.SliceOfN(genReportAction, 0, 2).Draw(t, "earlier")}
})

func genAck(steps int) *rapid.Generator[Ack] {
	return rapid.Custom(func(t *rapid.T) Ack {
		return Ack{rapid.SliceOfN(rapid.Custom(func(t *rapid.T) StepResult {
			return StepResult{rapid.IntRange(0, steps-1).Draw(t, "step"), Done, rapid.Ptr(genFile, true).Draw(t, "file"),
				rapid.SliceOfN(genText, 0, 1).Draw(t, "missing"), genText.Draw(t, "why")}
		}), 0, 3).Draw(t, "results")}
	})
}

func TestJournal(t *testing.T) {
	dir := openDir(t)
	rapid.Check(t, func(t *rapid.T) {
		if _, _, err := ReadJournal(dir); !errors.Is(err, ErrNoIntent) {
			t.Fatalf("no journal: %v, want ErrNoIntent", err)
		}
		in := genIntent.Draw(t, "intent")
		acks := rapid.SliceOfN(genAck(len(in.Steps)), 0, 3).Draw(t, "acks")
		j, err := Begin(dir, in)
		must(t, err)
		for i := range acks {
			expectJournal(t, dir, in, acks[:i])
			must(t, j.Ack(acks[i]))
		}
		if _, err := Begin(dir, &Intent{}); !errors.Is(err, ErrJournalExists) {
			t.Fatalf("second journal: %v, want ErrJournalExists", err)
		}
		expectJournal(t, dir, in, acks)
		// The next run carries on: its intent stands in place of intent and acks.
		next, err := Replace(dir, &Intent{Steps: []Step{{}}})
		must(t, err)
		must(t, next.Ack(Ack{}))
		expectJournal(t, dir, &Intent{Steps: []Step{{}}}, []Ack{{}})
		must(t, j.Remove())
		must(t, next.Remove())
		must(t, RemoveJournal(dir))
	})
}

func expectJournal(t interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}, dir *os.File, in *Intent, acks []Ack) {
	t.Helper()
	got, gotAcks, err := ReadJournal(dir)
	must(t, err)
	expectSame(t, "intent", in, got)
	expectSame(t, "acknowledgements", acks, gotAcks)
}

// A power cut can take any part of the last acknowledgement, or leave zeros in
// its place. The ones before it and the intent stay. Whatever else is missing
// or changed is damage, and never "nothing was done".
func TestJournalTorn(t *testing.T) {
	dir := openDir(t)
	in := &Intent{Meta: Meta{Mailbox: "chris", Sync: 7}, Outcomes: []merge.Outcome{{Message: "m"}},
		Steps: []Step{{Folder: &merge.FolderAction{To: "a"}}, {Action: &merge.Action{Message: "m"}}}}
	acks := []Ack{{[]StepResult{{Step: 0, Effect: Done}}}, {[]StepResult{{Step: 1, Effect: Raced, Why: "by a client"}}}}
	path := filepath.Join(dir.Name(), journalName)
	size := func() int {
		st, err := os.Stat(path)
		must(t, err)
		return int(st.Size())
	}
	j, err := Begin(dir, in)
	must(t, err)
	intent := size()
	must(t, j.Ack(acks[0]))
	first := size()
	must(t, j.Ack(acks[1]))
	good, err := os.ReadFile(path)
	must(t, err)

	for i := first; i < len(good); i++ {
		must(t, os.WriteFile(path, good[:i], 0o600))
		expectJournal(t, dir, in, acks[:1])
		zeros := append(bytes.Clone(good[:i]), make([]byte, len(good)-i)...)
		must(t, os.WriteFile(path, zeros, 0o600))
		expectJournal(t, dir, in, acks[:1])
		middle := append(append(bytes.Clone(good[:first]), make([]byte, i-first+1)...), good[i+1:]...)
		must(t, os.WriteFile(path, middle, 0o600))
		expectJournal(t, dir, in, acks[:1])
	}
	damaged := func(what string, i int) {
		t.Helper()
		if _, _, err := ReadJournal(dir); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
			t.Errorf("%s at byte %d: %v, want ErrDamaged", what, i, err)
		}
	}
	for i := range intent {
		must(t, os.WriteFile(path, good[:i], 0o600))
		damaged("cut", i)
	}
	for i := range first - 1 { // its newline: as if the rest were one torn line
		bad := bytes.Clone(good)
		bad[i] ^= 0x80
		must(t, os.WriteFile(path, bad, 0o600))
		damaged("bit flip", i)
	}
}

// A crash while the intent is written leaves no journal, and the next one takes
// no harm from what is left.
func TestBeginCutOff(t *testing.T) {
	dir := openDir(t)
	cut := errors.New("power cut")
	_, err := publish(dir, journalName, false, func(w *os.File) error {
		must(t, writeIntent(w, &Intent{}))
		// As after a crash: the temporary file is there, its journal is not.
		must(t, os.Link(filepath.Join(dir.Name(), tempName), filepath.Join(dir.Name(), "left")))
		return cut
	})
	if err != cut {
		t.Fatal(err)
	}
	must(t, os.Rename(filepath.Join(dir.Name(), "left"), filepath.Join(dir.Name(), tempName)))
	if _, _, err := ReadJournal(dir); !errors.Is(err, ErrNoIntent) {
		t.Errorf("after the crash: %v, want ErrNoIntent", err)
	}
	j, err := Begin(dir, &Intent{Meta: Meta{Sync: 8}})
	must(t, err)
	expectJournal(t, dir, &Intent{Meta: Meta{Sync: 8}}, nil)
	must(t, j.Remove())
}

// After an acknowledgement that could not be written, no other may follow: the
// half line in between would be damage.
func TestAckAfterError(t *testing.T) {
	dir := openDir(t)
	j, err := Begin(dir, &Intent{Steps: []Step{{}}})
	must(t, err)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	must(t, err)
	file := j.f
	j.f = full
	if err := j.Ack(Ack{}); err == nil {
		t.Fatal("no error from a full disk")
	}
	j.f = file
	if err := j.Ack(Ack{}); err == nil {
		t.Error("acknowledged after an error")
	}
	must(t, full.Close())
	expectJournal(t, dir, &Intent{Steps: []Step{{}}}, nil)
}

package report

import (
	"errors"
	"testing"

	"snapmerge/internal/engine"
	"snapmerge/snapshot"
)

// What only a snapshot holds is told where it is known.
func TestRotate(t *testing.T) {
	n := uint64(40 << 10)
	r := &engine.Rotation{Notes: []string{"a note"}, Turns: []engine.Turn{
		{Shelf: engine.ShelfHome, Exclusive: &n, Verdict: snapshot.Verdict{Snap: snapshot.Snap{Name: "offline.1", Time: noon}, Reason: "too old"}},
		{Shelf: engine.ShelfHome, Verdict: snapshot.Verdict{Snap: snapshot.Snap{Name: "offline.2", Time: noon}, Keep: true, Reason: evil}},
		{Shelf: engine.ShelfCopies, Verdict: snapshot.Verdict{Snap: snapshot.Snap{Name: "online.3.part"}, Reason: "left half"}},
	}}
	dry := *r
	dry.DryRun = true
	golden(t, "rotate.txt", RotateText(Rotated{"chris", r, nil}, true, Style{})+RotateText(Rotated{"chris", &dry, nil}, true, Style{})+RotateText(Rotated{"chris", r, nil}, false, Style{}))
	golden(t, "rotate.json", RotateJSON([]Rotated{{"chris", r, nil}, {"ann", nil, errors.New("no such disk")}}))
}

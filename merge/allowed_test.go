package merge

import (
	"fmt"
	"testing"

	"snapmerge/tree"
)

// TestAllowed: what a person allows for one sync counts in place of the number in
// the configuration and of the rule about half of the mail, in either direction.
func TestAllowed(t *testing.T) {
	for _, tt := range []struct {
		gone, known, max int
		allowed          *int
		held             bool
	}{
		{12, 20, 100, nil, true},      // more than half
		{12, 20, 100, ptr(11), true},  // one more than allowed
		{12, 20, 100, ptr(12), false}, // the half does not count
		{12, 100, 5, nil, true},
		{12, 100, 5, ptr(12), false},
		{1, 100, 5, nil, false},
		{1, 100, 5, ptr(0), true}, // stricter than the configuration
	} {
		in := Input{Known: [2]int{tt.known, tt.known}}
		for i := range tt.gone {
			p := []tree.Placement{at("INBOX", "S")}
			in.Messages = append(in.Messages, Message{ID: fmt.Sprint(i), Base: [2][]tree.Placement{p, p}, Now: [2][]tree.Placement{Online: p}})
		}
		plan := Merge(in, Policy{DeletedOffline: Apply, MaxDeletions: tt.max, Allowed: tt.allowed, Now: clock})
		if held := len(plan.Conflicts) == tt.gone; held != tt.held || len(plan.Actions) != tt.gone && !tt.held {
			t.Errorf("%+v: %d actions, %d conflicts", tt, len(plan.Actions), len(plan.Conflicts))
		}
	}
}

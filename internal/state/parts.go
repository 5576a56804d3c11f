package state

import "slices"

// partLen is how many elements of a list one part has at most.
const partLen = 4096

// parts cuts the lists that can be as long as the mailbox into pieces of n: after
// a first sync they are, and as one piece they would be in memory several times
// over while they are written, and be too long for SQLite (a value has a billion
// bytes at most). The first part has all the rest, a person's answers among it; [Pending.add] puts
// them together again.
func (p Pending) parts(n int) []Pending {
	first := p
	first.Agreed, first.Pairs, first.Own, first.Held, first.Differs, first.Unfiled = nil, nil, nil, nil, nil, nil
	out := []Pending{first}
	for l := range slices.Chunk(p.Agreed, n) {
		out = append(out, Pending{Agreed: l})
	}
	for l := range slices.Chunk(p.Pairs, n) {
		out = append(out, Pending{Pairs: l})
	}
	for l := range slices.Chunk(p.Own, n) {
		out = append(out, Pending{Own: l})
	}
	for l := range slices.Chunk(p.Held, n) {
		out = append(out, Pending{Held: l})
	}
	for l := range slices.Chunk(p.Differs, n) {
		out = append(out, Pending{Differs: l})
	}
	for l := range slices.Chunk(p.Unfiled, n) {
		out = append(out, Pending{Unfiled: l})
	}
	return out
}

// add takes in a part after the first.
func (p *Pending) add(part Pending) {
	p.Agreed = append(p.Agreed, part.Agreed...)
	p.Pairs = append(p.Pairs, part.Pairs...)
	p.Own = append(p.Own, part.Own...)
	p.Held = append(p.Held, part.Held...)
	p.Differs = append(p.Differs, part.Differs...)
	p.Unfiled = append(p.Unfiled, part.Unfiled...)
}

// parts cuts the details of a record in the same way.
func (d details) parts(n int) []details {
	pending := d.Pending.parts(n)
	first := d
	first.Actions, first.Met, first.Pending = nil, nil, pending[0]
	out := []details{first}
	for l := range slices.Chunk(d.Actions, n) {
		out = append(out, details{Actions: l})
	}
	for l := range slices.Chunk(d.Met, n) {
		out = append(out, details{Met: l})
	}
	for _, p := range pending[1:] {
		out = append(out, details{Pending: p})
	}
	return out
}

func (d *details) add(part details) {
	d.Actions = append(d.Actions, part.Actions...)
	d.Met = append(d.Met, part.Met...)
	d.Pending.add(part.Pending)
}

package merge

// attributes merges letters and keywords of one place: three-way, or the union
// where one side has nothing to compare with.
func (j *judge) attributes(p place) (r [2]attrs) {
	var n [2]attrs
	compared := p.on[Online] && p.on[Offline] && j.m.Lost == [2]bool{} // a restored store has taken nothing away
	for _, s := range Sides {
		if p.t.now[s] != nowhere {
			n[s] = j.na[s][p.t.now[s]]
		}
		compared = compared && p.t.now[s] != nowhere && p.t.base[s] != nowhere
	}
	switch {
	case compared:
		r = merge3([2]attrs{j.ba[Online][p.t.base[Online]], j.ba[Offline][p.t.base[Offline]]}, n)
	case p.on[Online] && p.on[Offline]:
		r = [2]attrs{n[Online] | n[Offline], n[Online] | n[Offline]}
	default:
		return n
	}
	for _, s := range Sides { // T set on the other side alone
		if r[s]&^n[s]&attrT != 0 && !j.travels(s.Other(), p.folder) {
			r[s] &^= attrT
		}
	}
	return r
}

func (j *judge) travels(from Side, folder int) bool {
	e := j.p.For(j.names[folder])
	return [2]Deletion{e.DeletedOnline, e.DeletedOffline}[from] == Apply
}

// merge3 merges bit by bit: a bit that one side changed is as that side has it;
// one that both changed, to different values, is set, but for T, which is clear.
func merge3(b, n [2]attrs) (r [2]attrs) {
	c := [2]attrs{b[0] ^ n[0], b[1] ^ n[1]}
	either, both := n[0]|n[1], n[0]&n[1]
	v := c[0]&^c[1]&n[0] | c[1]&^c[0]&n[1] | c[0]&c[1]&(either&^attrT|both&attrT)
	for s := range r {
		r[s] = n[s]&^(c[0]|c[1]) | v
	}
	return r
}

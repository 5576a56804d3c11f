package merge

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"snapmerge/tree"
)

// text shows a state as the tables do: a folder, letters, keywords.
func (v verdict) text(st holding) map[string]string {
	out := map[string]string{}
	for f, a := range st {
		var ks []string
		for i, w := range v.words {
			if a>>(26+i)&1 != 0 {
				ks = append(ks, w)
			}
		}
		out[f] = tree.Flags(a&(1<<26-1)).String() + " " + strings.Join(ks, ",")
	}
	return out
}

func placementText(ps []tree.Placement) map[string]string {
	out := map[string]string{}
	for _, p := range ps {
		ks := []string{}
		for _, k := range p.Keywords {
			ks = append(ks, tree.KeywordKey(k))
		}
		slices.Sort(ks)
		out[p.Folder] = p.Flags.String() + " " + strings.Join(ks, ",")
	}
	return out
}

// unlike compares what the plan did to message i with the oracle's verdict and
// returns the first difference, "" if there is none.
func unlike(v verdict, before, after Message, plan Plan, out Outcome) string {
	kinds := map[Kind]bool{}
	for _, c := range plan.Conflicts {
		if c.Message == before.ID {
			kinds[c.Kind] = true
		}
	}
	if v.loose {
		return lossy(v, before, after)
	}
	if !maps.Equal(kinds, v.kinds) {
		return fmt.Sprintf("conflicts %v, oracle %v", kinds, v.kinds)
	}
	if out.Held != v.held {
		return fmt.Sprintf("held %v, oracle %v", out.Held, v.held)
	}
	for _, s := range Sides {
		got, want := placementText(after.Now[s]), v.text(v.final[s])
		for _, p := range after.Now[s] {
			if p.Unnamed { // its keywords are not known
				g, _, _ := strings.Cut(got[p.Folder], " ")
				w, _, _ := strings.Cut(want[p.Folder], " ")
				if g == w {
					got[p.Folder] = want[p.Folder]
				}
			}
		}
		if !maps.Equal(got, want) {
			return fmt.Sprintf("%s: result %q, oracle %q", s, got, want)
		}
		if got, want := placementText(after.Base[s]), v.text(v.base[s]); !maps.Equal(got, want) {
			return fmt.Sprintf("%s: next base %q, oracle %q", s, got, want)
		}
	}
	for _, p := range after.Base[Online] {
		if !v.held && v.home(p.Folder) != "Spam" && !p.Since.Equal(v.since[1]) {
			return fmt.Sprintf("time in %q begins at %v, oracle %v", p.Folder, p.Since, v.since[1])
		}
	}
	return ""
}

// lossy looks at a message whose placements changed in a way that can be read
// in several ways: it must still be wherever nobody has removed it for good, in
// folders that somebody chose.
func lossy(v verdict, before, after Message) string {
	chosen := map[string]bool{}
	for _, p := range append(slices.Clone(before.Now[Online]), before.Now[Offline]...) {
		chosen[v.home(p.Folder)] = true
	}
	for _, s := range Sides {
		for _, p := range after.Now[s] {
			if !chosen[v.home(p.Folder)] {
				return fmt.Sprintf("%s: in %q, where nobody put it", s, p.Folder)
			}
		}
	}
	var shared, alone bool // what online had at the last sync
	for _, p := range before.Base[Online] {
		at := slices.ContainsFunc(before.Base[Offline], func(q tree.Placement) bool { return v.home(q.Folder) == v.home(p.Folder) })
		shared, alone = shared || at, alone || !at
	}
	declined := shared && alone // what home has declined stays online, whatever becomes of the rest
	if v.seen[Online] && v.seen[Offline] && len(after.Now[Offline]) == 0 && !declined {
		return "gone at home although online had it"
	}
	return ""
}

// show prints what a message was, for a failing test.
func show(m Message) string {
	var b strings.Builder
	fmt.Fprintf(&b, "message %s lost %v differ %v duplicate %v movedhome %q alike %v\n", m.ID, m.Lost, m.Differ, m.Duplicate, m.MovedHome, m.Alike)
	for _, s := range Sides {
		for _, l := range []struct {
			what string
			ps   []tree.Placement
		}{{"base", m.Base[s]}, {"now", m.Now[s]}} {
			fmt.Fprintf(&b, "  %-8s%-5s", s, l.what)
			for _, p := range l.ps {
				fmt.Fprintf(&b, " %s(%s %s", p.Folder, p.Flags, strings.Join(p.Keywords, ","))
				if p.Unnamed {
					b.WriteString(" unnamed")
				}
				if !p.Ctime.IsZero() {
					fmt.Fprintf(&b, " c%d", p.Ctime.Unix()%100)
				}
				b.WriteString(")")
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

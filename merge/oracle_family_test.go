package merge

import (
	"regexp"
	"strings"
	"time"
)

// What the oracle knows of archive families, without the package's help: the
// rules of tests name their bases in full, and their patterns are these.
var layouts = map[Pattern]string{"%Y": "2006", "%m": "01", "%Y-%m": "2006-01", "%Y/%m": "2006/01"}

var dated = regexp.MustCompile(`^(.*?)/(\d{4}|\d{4}[-/](0[1-9]|1[012])|0[1-9]|1[012])$`)

// homes returns which family a folder is of.
func homes(rules []Rule) func(string) string {
	return func(folder string) string {
		m := dated.FindStringSubmatch(folder)
		if m == nil || archiveOf(rules, m[1]) == nil {
			return folder
		}
		return m[1]
	}
}

func archiveOf(rules []Rule, base string) *Rule {
	for i, r := range rules {
		if r.Match == base && r.Archive[0]+r.Archive[1] != "" {
			return &rules[i]
		}
	}
	return nil
}

// filedIn is where a side keeps mail of a family. Periods are compared as text
// that begins with the year, whatever the pattern.
func filedIn(rules []Rule, s Side, base string, received, now time.Time) string {
	r := archiveOf(rules, base)
	if r == nil || r.Archive[s] == "" {
		return base
	}
	layout := layouts[r.Archive[s]]
	period := "2006"
	if strings.Contains(layout, "01") {
		period = "2006-01"
	}
	if received.Format(period) >= now.Format(period) {
		return base
	}
	return base + "/" + received.Format(layout)
}

// target is the real folder in which a side has a placement in the end.
func (j *judge) target(s Side, p place, a attrs) string {
	from, there := p.t.now[s], s
	if from == nowhere {
		from, there = p.t.now[s.Other()], s.Other()
	}
	want := filedIn(j.p.Rules, s, j.names[p.folder], j.at[there][from].Received, j.p.Now)
	if p.t.now[s] != p.folder || j.at[s][p.folder].Folder == want {
		return want
	}
	for i, w := range j.words {
		if a>>(26+i)&1 != 0 && j.full(s, want, w) {
			return j.at[s][p.folder].Folder
		}
	}
	return want
}

// brought looks for mail that somebody has brought online although it is too
// old for its folder there: its time begins now.
func (j *judge) brought(ps []place) {
	for _, p := range j.m.Base[Online] {
		if j.since[0].Before(p.Since) {
			j.since[0] = p.Since
		}
	}
	j.since[1] = j.since[0]
	switch {
	case j.m.Lost[Online] || j.m.Lost[Offline]: // a restored store has brought nothing
		return
	case len(j.m.Base[Online]) > 0, len(j.m.Base[Offline]) == 0 && !j.known:
		return
	}
	for _, p := range ps {
		f := p.t.now[Online]
		if !p.on[Online] || f == nowhere {
			continue
		}
		if c := j.at[Online][f].Ctime; len(j.m.Base[Offline]) == 0 && !c.IsZero() && j.p.LastSync.Sub(c) > 24*time.Hour {
			continue // it was there at the last sync
		}
		if k := j.p.For(j.names[p.folder]).Keep; k.Unit != KeepNone && j.p.Expired(k, j.at[Online][f].Received) {
			j.since[1] = j.p.Now
		}
	}
}

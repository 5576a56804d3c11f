package livetest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"snapmerge/internal/state"
	"snapmerge/merge"
)

// check looks at both sides when everybody has gone, before and after a quiet
// sync.
func (s *stress) check(first [2]view) {
	t := s.t
	t.Helper()
	var before, after [2]view
	for _, side := range merge.Sides {
		c := s.login(side)
		for _, f := range c.Folders() {
			c.Open("SELECT", f) // what is in new/ goes to cur/
		}
		c.Close()
		before[side] = s.look(side)
	}
	rec := s.sync()
	s.note(rec)
	for _, side := range merge.Sides {
		after[side] = s.look(side)
	}
	for _, p := range s.problems {
		t.Error(p)
	}
	if logs := s.server[online].Log() + s.server[home].Log(); int(s.crashes.Load()) > len(crash.FindAllString(logs, -1)) {
		t.Error("a session ended without a word, and no crash")
	}
	held := s.held(rec)
	t.Logf("%d mails, %d at home, %d online; %d may have been deleted; held: %v", len(s.mails), len(after[home].mails), len(after[online].mails), len(s.mayBe), held)
	s.checkPresent(after)
	s.checkText(after)
	s.checkPlaces(before, after, held)
	s.checkAgree(after, held)
	s.checkUIDs(first, before, after)
	if again := s.sync(); len(again.Report.Actions) > 0 {
		t.Errorf("one more sync did\n%s", actions(again))
	}
}

// bySubject has for each mail where it is: "work \Seen both".
func bySubject(v view) map[string][]string {
	out := map[string][]string{}
	for _, m := range v.mails {
		out[m.subject] = append(out[m.subject], strings.TrimSpace(m.folder+" "+m.flags))
	}
	return out
}

// held are the mails that wait for a person: a key is in the names of its files,
// and by its text the mail is known.
func (s *stress) held(rec *state.Record) map[string]string {
	out := map[string]string{}
	for _, h := range rec.Pending.Held {
		out[h.Subject] = string(h.Kind)
	}
	return out
}

// checkPresent: every mail that nobody deleted is at home, and online too unless
// it was saved at home.
func (s *stress) checkPresent(after [2]view) {
	s.t.Helper()
	at := [2]map[string][]string{bySubject(after[online]), bySubject(after[home])}
	for subject := range s.mails {
		for _, side := range merge.Sides {
			if side == online && subject[0] == archive {
				if len(at[side][subject]) > 0 {
					s.t.Errorf("%s was saved at home and is online", subject)
				}
				continue
			}
			if len(at[side][subject]) == 0 && s.mayBe[subject] == "" {
				s.t.Errorf("%s: nobody deleted %s, and it is lost (other side: %q)\n%s", side, subject, at[side.Other()][subject], s.storyOf(subject))
			}
		}
	}
}

func (s *stress) checkText(after [2]view) {
	s.t.Helper()
	for _, side := range merge.Sides {
		for _, m := range after[side].mails {
			if want, ok := s.mails[m.subject]; !ok || !strings.HasSuffix(m.text, want) {
				s.t.Errorf("%s: %s in %s has the text %q", side, m.subject, m.folder, m.text)
			}
		}
	}
}

// checkPlaces: mail of one owner is where the owner's side had it when all was
// quiet, in one place, with each side's flags as that side had them.
func (s *stress) checkPlaces(before, after [2]view, held map[string]string) {
	s.t.Helper()
	was := [2]map[string][]string{bySubject(before[online]), bySubject(before[home])}
	is := [2]map[string][]string{bySubject(after[online]), bySubject(after[home])}
	for subject := range s.mails {
		owner, ok := map[byte]merge.Side{ofHome: home, ofMX: online, still: home}[subject[0]]
		if !ok || held[subject] != "" {
			continue
		}
		want := folders(was[owner][subject])
		for _, side := range merge.Sides {
			if n := len(is[side][subject]); n > 1 && !s.half[subject] {
				s.t.Errorf("%s: %s is there %d times: %q\n%s", side, subject, n, is[side][subject], s.storyOf(subject))
			}
			if got := folders(is[side][subject]); !slices.Equal(got, want) && !s.fresh(subject, was) {
				s.t.Errorf("%s: %s is in %q, its owner had it in %q\n%s", side, subject, got, want, s.storyOf(subject))
			}
		}
		s.checkFlags(subject, was, is)
	}
}

func (s *stress) storyOf(subject string) string { return strings.Join(s.story[subject], "\n") }

// fresh: until now only online had it.
func (s *stress) fresh(subject string, was [2]map[string][]string) bool {
	return len(was[home][subject]) == 0 && s.mayBe[subject] == ""
}

// checkFlags: each side's own flag and keyword are as that side had them.
func (s *stress) checkFlags(subject string, was, is [2]map[string][]string) {
	s.t.Helper()
	if len(was[online][subject]) != 1 || len(was[home][subject]) != 1 {
		return
	}
	for _, own := range merge.Sides {
		for _, flag := range []string{ownFlag[own], ownKeyword[own]} {
			want := strings.Contains(was[own][subject][0], flag)
			for _, side := range merge.Sides {
				if len(is[side][subject]) == 1 && strings.Contains(is[side][subject][0], flag) != want {
					s.t.Errorf("%s: %s is %q, %s set %s to %v", side, subject, is[side][subject], own, flag, want)
				}
			}
		}
	}
}

func folders(places []string) (out []string) {
	for _, p := range places {
		f, _, _ := strings.Cut(p, " ")
		out = append(out, f)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// checkAgree: both sides have the same, but for what waits for a person. Of
// several files that a mail has in one folder one speaks for all, so their flags
// may differ. They are counted on disk: of two names of one file Dovecot shows the
// one that it has read first, and removes the other half a minute later.
func (s *stress) checkAgree(after [2]view, held map[string]string) {
	s.t.Helper()
	at := [2]map[string][]string{bySubject(after[online]), bySubject(after[home])}
	disk := [2]map[string][]string{s.files(online), s.files(home)}
	for subject := range s.mails {
		if subject[0] == archive || held[subject] != "" {
			continue
		}
		a, b := at[online][subject], at[home][subject]
		alone := func(place string) bool {
			return count(disk[online][subject], place) == 1 && count(disk[home][subject], place) == 1
		}
		if !slices.Equal(folders(a), folders(b)) || !slices.Equal(only(a, alone), only(b, alone)) {
			s.t.Errorf("%s: online %q, home %q\n%s\non disk: online %q, home %q", subject, a, b, s.storyOf(subject), disk[online][subject], disk[home][subject])
		}
	}
}

// count returns how many of the places are in the folder of that place.
func count(places []string, place string) (n int) {
	folder, _, _ := strings.Cut(place, " ")
	for _, p := range places {
		if f, _, _ := strings.Cut(p, " "); f == folder {
			n++
		}
	}
	return n
}

func only(places []string, ok func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(places), func(p string) bool { return !ok(p) })
}

// files has for each mail its files on disk: "work cur/1700000000.M1P2.mx:2,S".
func (s *stress) files(side merge.Side) map[string][]string {
	s.t.Helper()
	out := map[string][]string{}
	must(s.t, filepath.WalkDir(s.path(side), func(path string, d fs.DirEntry, err error) error {
		dir := filepath.Dir(path)
		if sub := filepath.Base(dir); err != nil || d.IsDir() || sub != "cur" && sub != "new" {
			return err
		}
		rel, err := filepath.Rel(s.path(side), filepath.Dir(dir))
		if err != nil {
			return err
		}
		folder, err := s.layout[side].Folder(rel)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if m := subjectLine.FindSubmatch(text); m != nil {
			out[string(m[1])] = append(out[string(m[1])], folder+" "+filepath.Base(dir)+"/"+filepath.Base(path))
		}
		return err
	}))
	return out
}

// checkUIDs counts UIDs that changed without need: from the first to the last
// minute of mail that always stayed in its folder, and of all mail that the quiet
// sync left in its folder.
func (s *stress) checkUIDs(first, before, after [2]view) {
	s.t.Helper()
	var without []string
	for _, side := range merge.Sides {
		stays := first[side]
		stays.mails = slices.DeleteFunc(slices.Clone(stays.mails), func(m seen) bool { return m.subject[0] != still })
		for _, l := range append(newUIDs(stays, after[side]), newUIDs(before[side], after[side])...) {
			without = append(without, fmt.Sprintf("%s: %s", side, l))
		}
	}
	s.t.Logf("%d UIDs changed without need", len(without))
	for _, l := range without {
		s.t.Error(l)
	}
}

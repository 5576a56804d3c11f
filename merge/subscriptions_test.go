package merge

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// letters returns the first n letters, with spaces between.
func letters(n int) string {
	return strings.Join(strings.Split("abcdefghijklmnopqrstuvwxyz"[:n], ""), " ")
}

// Lists of names, and what is done to each side: "+a -b". A side has all folders
// but those of "online lacks" or "home lacks"; "?" is a list that is not known.
func TestMergeSubscriptions(t *testing.T) {
	for _, c := range []struct {
		what, base, online, home string
		lacks                    [2]string // online, home
		renamed                  string    // "old new"
		doOnline, doHome         string
		agreed                   string
	}{
		{what: "nothing new", base: "a b", online: "a b", home: "b a", agreed: "a b"},
		{what: "subscribed online", base: "a", online: "a b", home: "a", doHome: "+b", agreed: "a b"},
		{what: "subscribed at home", base: "a", online: "a", home: "a b", doOnline: "+b", agreed: "a b"},
		{what: "unsubscribed online", base: "a b", online: "a", home: "a b", doHome: "-b", agreed: "a"},
		{what: "unsubscribed at home", base: "a b", online: "b a", home: "b", doOnline: "-a", agreed: "b"},
		{what: "alike on both", base: "a b", online: "b c", home: "c b", agreed: "b c"},
		{what: "a first sync joins both", online: "a b", home: "b c", doOnline: "+c", doHome: "+a", agreed: "a b c"},
		{what: "a folder that the other side lacks waits", online: "a", home: "a x", lacks: [2]string{"x", ""}, agreed: "a"},
		{what: "and goes when it is there", base: "a", online: "a", home: "a x", doOnline: "+x", agreed: "a x"},
		{what: "taken away though the folder is gone", base: "a x", online: "a", home: "a x", lacks: [2]string{"x", "x"}, doHome: "-x", agreed: "a"},
		{what: "a skipped folder stays as it is", base: "a", online: "a spam", home: "a", agreed: "a"},
		{what: "a list that was lost takes nothing away", base: "a b", online: "?", home: "a c", doOnline: "+a +c", agreed: "a c"},
		{what: "both lost", base: "a", online: "?", home: "?"},
		{what: "all unsubscribed", base: "a b", online: "", home: "a b", doHome: "-a -b"},
		{what: "renamed, the client did nothing", base: "a b", online: "a b", home: "a b", renamed: "a z", lacks: [2]string{"a", "a"},
			doOnline: "+z -a", doHome: "+z -a", agreed: "b z"},
		{what: "renamed, the client followed", base: "a b", online: "b z", home: "a b", renamed: "a z", lacks: [2]string{"a", "a"}, doHome: "+z -a", agreed: "b z"},
		{what: "renamed and unsubscribed", base: "a b", online: "b", home: "a b", renamed: "a z", lacks: [2]string{"a", "a"}, doHome: "-a", agreed: "b"},
		{what: "renamed, and the old name made anew", base: "a b", online: "a b", home: "a b", renamed: "a z", agreed: "a b"},
		{what: "renamed, but not on the other side", base: "a b", online: "a b z", home: "a b", renamed: "a z", lacks: [2]string{"a", ""},
			doHome: "+z", agreed: "a b z"},
		{what: "eleven of twenty-two are few enough", base: letters(22), online: letters(11), home: letters(22),
			doHome: "-l -m -n -o -p -q -r -s -t -u -v", agreed: letters(11)},
		{what: "twelve are not", base: letters(22), online: letters(10), home: letters(22), agreed: letters(22)},
		{what: "ten of ten are few enough", base: letters(10), online: "x", home: letters(10) + " x",
			doHome: "-a -b -c -d -e -f -g -h -i -j", agreed: "x"},
	} {
		list := func(s string) []string {
			if s == "?" {
				return nil
			}
			return append([]string{}, strings.Fields(s)...)
		}
		s := Subscriptions{Base: list(c.base), Now: [2][]string{Online: list(c.online), Offline: list(c.home)},
			Renamed: map[string]string{}, Has: func(side Side, f string) bool { return !strings.Contains(c.lacks[side], f) }}
		if from, to, ok := strings.Cut(c.renamed, " "); ok {
			s.Renamed[from] = to
		}
		do := MergeSubscriptions(s, Policy{Rules: []Rule{{Match: "spam", Skip: true}}})
		var after [2][]string
		for _, side := range Sides {
			after[side] = append(minus(s.Now[side], do[side].Remove), do[side].Add...)
		}
		got := []string{words(do[Online]), words(do[Offline]), strings.Join(s.Agreed(after), " ")}
		if d := cmp.Diff([]string{c.doOnline, c.doHome, c.agreed}, got); d != "" {
			t.Errorf("%s: online, home, agreed: -want +got\n%s", c.what, d)
		}
		if again := MergeSubscriptions(Subscriptions{Base: s.Agreed(after), Now: after, Has: s.Has}, Policy{Rules: []Rule{{Match: "spam", Skip: true}}}); s.Now[0] != nil && words(again[Online])+words(again[Offline]) != "" {
			t.Errorf("%s: once more does %v", c.what, again)
		}
	}
}

func words(s Subscribe) string {
	var out []string
	for _, n := range s.Add {
		out = append(out, "+"+n)
	}
	for _, n := range s.Remove {
		out = append(out, "-"+n)
	}
	return strings.Join(out, " ")
}

// What could not be taken away on one side is tried again.
func TestSubscriptionsLeft(t *testing.T) {
	s := Subscriptions{Base: []string{"a", "b"}}
	if got := s.Agreed([2][]string{Online: {"a"}, Offline: {"a", "b", "c"}}); !cmp.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
}

// A folder with twelve below it is renamed: none of their subscriptions is lost.
func TestSubscriptionsFollowMany(t *testing.T) {
	s := Subscriptions{Renamed: map[string]string{}, Has: func(_ Side, f string) bool { return strings.HasPrefix(f, "new/") }}
	for f := range strings.FieldsSeq(letters(12)) {
		s.Base = append(s.Base, "old/"+f)
		s.Renamed["old/"+f] = "new/" + f
	}
	s.Now = [2][]string{s.Base, s.Base}
	for side, do := range MergeSubscriptions(s, Policy{}) {
		if len(do.Add) != 12 || len(do.Remove) != 12 || len(do.Kept) > 0 {
			t.Errorf("%v: %+v", Side(side), do)
		}
	}
}

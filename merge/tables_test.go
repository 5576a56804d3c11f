package merge

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapmerge/tree"
)

var update = flag.Bool("update", false, "write what the tables of testdata/rules give now")

// TestTables runs the scenarios of testdata/rules: four tables and a policy in,
// the plan and what both sides and the next base then hold out.
func TestTables(t *testing.T) {
	files, err := filepath.Glob("testdata/rules/*.txtar")
	if err != nil || len(files) < 19 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	shown := map[string]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			a, err := parseArchive(file)
			if err != nil {
				t.Fatal(err)
			}
			in, p := scenario(t, a)
			plan := Merge(in, p)
			next, err := simulate(in, plan, nil)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{"plan": planText(plan), "result": resultText(t, next)}
			if *update {
				a.sections["plan"], a.sections["result"] = got["plan"], got["result"]
				if err := os.WriteFile(file, a.format(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, name := range []string{"plan", "result"} {
				if diff := cmp.Diff(section(a, name), got[name]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			for _, rule := range allRules {
				shown[rule] = shown[rule] || strings.Contains(got["plan"], "rule "+rule+"\n")
			}
		})
	}
	for _, rule := range allRules {
		if !silentRules[rule] && !shown[rule] && !*update {
			t.Errorf("no scenario shows rule %s", rule)
		}
	}
}

// An archive is a text with named sections, each after a line "-- name --": the
// txtar format.
type archive struct {
	title    string
	sections map[string]string
}

var sections = []string{"policy", "online-base", "online", "offline-base", "offline", "plan", "result"}

func parseArchive(file string) (*archive, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	a := &archive{sections: map[string]string{}}
	name := ""
	for line := range strings.Lines(string(data)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok && strings.HasSuffix(n, " --") {
			name = strings.TrimSuffix(n, " --")
			if !slices.Contains(sections, name) {
				return nil, fmt.Errorf("%s: unknown section %q", file, name)
			}
			a.sections[name] = ""
		} else if name == "" {
			a.title += line
		} else {
			a.sections[name] += line
		}
	}
	return a, nil
}

func (a *archive) format() []byte {
	var b bytes.Buffer
	b.WriteString(a.title)
	for _, name := range sections {
		fmt.Fprintf(&b, "-- %s --\n%s", name, a.sections[name])
	}
	return b.Bytes()
}

func section(a *archive, name string) string { return a.sections[name] }

// scenario reads the tables and the policy of a file.
func scenario(t *testing.T, a *archive) (Input, Policy) {
	p := DefaultPolicy()
	p.Now = clock
	in := Input{Known: [2]int{1000, 1000}, Decisions: map[string]Decision{}}
	byID := map[string]*Message{}
	for _, s := range Sides {
		for _, now := range []bool{false, true} {
			name := s.String()
			if !now {
				name += "-base"
			}
			for _, row := range rows(t, section(a, name)) {
				m := byID[row.Message]
				if m == nil {
					m = &Message{ID: row.Message}
					byID[row.Message] = m
				}
				list := &m.Base[s]
				if now {
					list = &m.Now[s]
				}
				*list = append(*list, row.Placement)
			}
		}
	}
	var takes []string
	for line := range strings.Lines(section(a, "policy")) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		takes = append(takes, policyLine(t, &p, byID, key, value)...)
	}
	for _, id := range sortedKeys(byID) {
		in.Messages = append(in.Messages, *byID[id])
	}
	for _, c := range Merge(in, p).Conflicts {
		for _, take := range takes {
			in.Decisions[c.ID] = Decision{State: c.State, Take: Side(slices.Index([]string{"online", "offline"}, take))}
		}
	}
	return in, p
}

// rows reads a table in which runs of blanks stand for tabs.
func rows(t *testing.T, s string) []tree.Row {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(strings.Join(strings.Fields(line), "\t") + "\n")
	}
	out, err := tree.ReadTable(strings.NewReader(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// policyLine reads "key=value": prefer, deleted_online, deleted_offline,
// max_deletions, max_expire; now, last_sync: times; keep:FOLDER, skip:FOLDER,
// and about the folder of the rule before keep_from, archive_online,
// archive_offline (archive:FOLDER begins such a rule); from:MESSAGE=ADDRESS; fact=differ|duplicate|moved-home|
// alike|lost-online|lost-offline, for all messages; take=online|offline, for all
// conflicts.
func policyLine(t *testing.T, p *Policy, ms map[string]*Message, key, value string) (takes []string) {
	var err error
	key, folder, _ := strings.Cut(key, ":")
	switch key {
	case "":
	case "prefer":
		p.Prefer = Prefer(slices.Index([]string{"newest", "offline", "online"}, value))
	case "deleted_online":
		p.DeletedOnline, err = ParseDeletion(value)
	case "deleted_offline":
		p.DeletedOffline, err = ParseDeletion(value)
	case "max_deletions":
		p.MaxDeletions, err = strconv.Atoi(value)
	case "keep":
		var k Keep
		k, err = ParseKeep(value)
		p.Rules = append(p.Rules, Rule{Match: folder, Keep: &k})
	case "skip":
		p.Rules = append(p.Rules, Rule{Match: folder, Skip: true})
	case "max_expire":
		p.MaxExpire, err = strconv.Atoi(value)
	case "now":
		p.Now, err = time.Parse(time.RFC3339, value)
	case "last_sync":
		p.LastSync, err = time.Parse(time.RFC3339, value)
	case "archive":
		p.Rules = append(p.Rules, Rule{Match: folder})
	case "keep_from":
		last := &p.Rules[len(p.Rules)-1]
		last.KeepFrom = append(last.KeepFrom, value)
	case "archive_online", "archive_offline":
		last, side := &p.Rules[len(p.Rules)-1], slices.Index([]string{"archive_online", "archive_offline"}, key)
		last.Archive[side], err = ParsePattern(value)
	case "from":
		ms[folder].From = append(ms[folder].From, value)
	case "take":
		takes = append(takes, value)
	case "fact":
		for _, m := range ms {
			facts[value](m)
		}
	default:
		err = fmt.Errorf("unknown key")
	}
	if err != nil {
		t.Fatalf("policy %q: %v", key, err)
	}
	return takes
}

var facts = map[string]func(*Message){
	"differ":       func(m *Message) { m.Differ = true },
	"duplicate":    func(m *Message) { m.Duplicate = true },
	"moved-home":   func(m *Message) { m.MovedHome = "other" },
	"alike":        func(m *Message) { m.MovedHome, m.Alike = "other", true },
	"lost-online":  func(m *Message) { m.Lost[Online] = true },
	"lost-offline": func(m *Message) { m.Lost[Offline] = true },
}

func planText(plan Plan) string {
	var b strings.Builder
	for _, a := range plan.Actions {
		fmt.Fprintf(&b, "%s %s %s", a.Side, a.Op, a.Message)
		for _, f := range []string{a.From, a.To} {
			if f != "" {
				b.WriteString(" " + f)
			}
		}
		if a.To != "" {
			fmt.Fprintf(&b, " flags=%s keywords=%s", a.Flags, strings.Join(a.Keywords, ","))
		}
		fmt.Fprintf(&b, " rule %s\n", a.Rule)
	}
	for _, c := range plan.Conflicts {
		fmt.Fprintf(&b, "conflict %s %s rule %s\n", c.Kind, c.Message, c.Rule)
	}
	for _, n := range plan.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	return b.String()
}

// resultText shows both sides and the next base.
func resultText(t *testing.T, next Input) string {
	var b strings.Builder
	for _, s := range Sides {
		for _, what := range []string{"", "-base"} {
			var rs []tree.Row
			for _, m := range next.Messages {
				ps := m.Now[s]
				if what != "" {
					ps = m.Base[s]
				}
				for _, p := range ps {
					p.Received, p.Ctime = time.Time{}, time.Time{}
					rs = append(rs, tree.Row{Message: m.ID, Placement: p})
				}
			}
			var table bytes.Buffer
			if err := tree.WriteTable(&table, rs); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(table.String()) {
				fmt.Fprintf(&b, "%s%s %s\n", s, what, strings.Join(strings.Fields(line), " "))
			}
		}
	}
	return b.String()
}

// TestKinds freezes what scripts and stored reports rely upon.
func TestKinds(t *testing.T) {
	want := []Kind{"deleted-online", "deleted-offline", "delete-modify", "move-move", "content-changed", "name-taken", "duplicate", "refused", "keyword-full"}
	if diff := cmp.Diff(want, Kinds); diff != "" {
		t.Error(diff)
	}
}

package snapmerge

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"snapmerge/internal/config"
	"snapmerge/internal/engine"
	"snapmerge/internal/report"
	"snapmerge/internal/state"
	"snapmerge/merge"
)

var update = flag.Bool("update", false, "write the generated examples into the documents")

// The examples of doc/retention.md are what the program makes of the configuration
// that stands there.
func TestRetentionExamples(t *testing.T) {
	const file = "doc/retention.md"
	text := read(t, file)
	p := policyOf(t, text)
	want := text
	for name, block := range map[string]string{
		"lookup": lookupExample(p), "status": statusExample(p), "ages": agesExample(t), "filing": filingExample(p),
	} {
		re := regexp.MustCompile("(?s)(<!-- generated: " + name + " -->\n).*?(<!-- end -->)")
		if n := len(re.FindAllString(want, -1)); n != 1 {
			t.Fatalf("%s: %d blocks %q", file, n, name)
		}
		want = re.ReplaceAllStringFunc(want, func(string) string {
			return "<!-- generated: " + name + " -->\n" + block + "<!-- end -->"
		})
	}
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != text {
		t.Errorf("%s is not up to date: go test -run TestRetentionExamples . -update", file)
	}
}

// policyOf reads the first configuration of a document.
func policyOf(t *testing.T, text string) *merge.Policy {
	m := regexp.MustCompile("(?s)```toml\n(.*?)```").FindStringSubmatch(text)
	path := filepath.Join(t.TempDir(), "snapmerge.toml")
	if err := os.WriteFile(path, []byte(m[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	p := cfg.Mailboxes[0].Policy(time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC))
	return &p
}

func lookupExample(p *merge.Policy) string {
	var b strings.Builder
	b.WriteString("| folder | |\n|---|---|\n")
	for _, f := range []string{"INBOX", "lists/linux-kernel", "lists/linux-kernel/2025-11", "lists/linux-kernel/patches", "lists/git", "Newsletters"} {
		fmt.Fprintf(&b, "| %s | %s |\n", f, p.Retention(f))
	}
	return b.String()
}

func statusExample(p *merge.Policy) string {
	rule := func(folder string) engine.FolderRule { return engine.FolderRule{Retention: p.Retention(folder)} }
	kernel, git, news := rule("lists/linux-kernel"), rule("lists/git"), rule("Newsletters")
	kernel.Due, kernel.DueBytes = 61, 412_300
	kernel.Next = merge.Keep{Unit: merge.KeepMonths, N: 4}.End(time.Date(2025, 11, 15, 20, 11, 0, 0, p.Location))
	kernel.Filed = [2]time.Time{p.NextPeriod(merge.Online, []string{kernel.Folder}), p.NextPeriod(merge.Offline, []string{kernel.Folder})}
	git.Next = merge.Keep{Unit: merge.KeepYears, N: 1}.End(time.Date(2025, 4, 2, 9, 30, 0, 0, p.Location))
	news.Due, news.DueBytes = 2, 71_220
	rec := &state.Record{Meta: state.Meta{Sync: 412}, Started: p.Now.Add(-8 * time.Hour)}
	r := report.Rules{Mailbox: "chris", Last: rec, Now: p.Now, Forecast: &engine.Forecast{Folders: []engine.FolderRule{rule("INBOX"), news, git, kernel}}}
	return "```\n" + report.RulesText(r, report.Style{Zone: p.Location}) + "```\n"
}

func agesExample(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| received | keep | goes after |\n|---|---|---|\n")
	for _, e := range [][2]string{
		{"2026-01-31 08:00", "1 month"}, {"2024-01-31 08:00", "1 month"}, {"2025-07-31 08:00", "4 months"},
		{"2024-02-29 08:00", "1 year"}, {"2026-03-15 08:00", "10 days"}, {"2026-03-15 08:00", "2 weeks"},
	} {
		k, err := merge.ParseKeep(e[1])
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse("2006-01-02 15:04", e[0])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", e[0], k, k.End(at).Format("2006-01-02 15:04"))
	}
	return b.String()
}

func filingExample(p *merge.Policy) string {
	var b strings.Builder
	b.WriteString("| received | online | at home |\n|---|---|---|\n")
	for _, at := range []time.Time{
		time.Date(2026, 3, 14, 10, 0, 0, 0, p.Location), time.Date(2026, 2, 28, 23, 59, 0, 0, p.Location), time.Date(2026, 1, 1, 0, 0, 0, 0, p.Location),
		time.Date(2025, 12, 31, 23, 59, 0, 0, p.Location), time.Date(2025, 3, 14, 10, 0, 0, 0, p.Location),
	} {
		const folder = "lists/linux-kernel"
		fmt.Fprintf(&b, "| %s | %s | %s |\n", at.Format("2006-01-02 15:04"), p.Filed(merge.Online, folder, at), p.Filed(merge.Offline, folder, at))
	}
	return b.String()
}

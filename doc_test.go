package snapmerge

import (
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"snapmerge/internal/config"
)

// Every test that the documents name exists: a guarantee whose test is gone is
// only a claim.
func TestNamedTests(t *testing.T) {
	have := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, f := range sources(t, token.NewFileSet()) {
		for _, m := range declared.FindAllStringSubmatch(f.text, -1) {
			have[strings.Replace(f.pkg, ".", "snapmerge", 1)+"."+m[1]] = true
		}
	}
	named := regexp.MustCompile("`([a-z/]+\\.(?:Test|Fuzz)\\w+)`")
	for _, file := range []string{"README.md", "ARCHITECTURE.md", "doc/guarantees.md"} {
		for _, m := range named.FindAllStringSubmatch(read(t, file), -1) {
			if !have[m[1]] {
				t.Errorf("%s: there is no test %s", file, m[1])
			}
		}
	}
	if n := len(named.FindAllString(read(t, "doc/guarantees.md"), -1)); n < 25 {
		t.Errorf("doc/guarantees.md names %d tests only", n)
	}
}

// Every configuration in the documents is one that the program takes.
func TestConfigurations(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```")
	for _, file := range []string{"README.md", "doc/configuration.md", "doc/retention.md"} {
		found := blocks.FindAllStringSubmatch(read(t, file), -1)
		if len(found) == 0 {
			t.Errorf("%s: no configuration", file)
		}
		for _, m := range found {
			path := filepath.Join(t.TempDir(), "snapmerge.toml")
			if err := os.WriteFile(path, []byte(m[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(path); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// Links between documents lead somewhere.
func TestLinks(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^):#]+)[^)]*\)`)
	docs, _ := filepath.Glob("doc/*.md")
	for _, file := range append(docs, "README.md", "ARCHITECTURE.md", "CHANGELOG.md") {
		for _, m := range links.FindAllStringSubmatch(read(t, file), -1) {
			if m[1] == "https" {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s: link: %v", file, err)
			}
		}
	}
}

func read(t *testing.T, file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

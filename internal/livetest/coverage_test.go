package livetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shownBy says where each rule of living with Dovecot is tested: the package's
// directory below the module, and a test, or here a scenario or rule by its name.
var shownBy = []struct {
	rule  string
	where []string
}{
	// Which message is it?
	{"mail is a regular file of cur/ or new/, never of tmp/; one inode in both is one mail",
		[]string{"tree TestScan", "internal/crashtest TestTwoNamesOfOneInode", "a move that a snapshot caught half-way: both links are there"}},
	{"the same inode is the same message, whatever its name is now",
		[]string{"internal/engine TestIdentify", "read mail is moved there and back three times, with syncs in between"}},
	{"without the inode, the name and equal bytes; equal bytes alone only on a first sync",
		[]string{"internal/engine TestIdentify", "content that Dovecot copied, as folders differ in mode, is the same mail", "here TestCopyWithoutHardlinks"}},
	{"a message can have several instances; a further one is made from the local file",
		[]string{"a copy is a link to the local file", "an unread copy in two more folders", "one of two copies is expunged", "internal/apply TestCopyToOtherMode"}},
	{"a new name comes with the old inode; where it does not, nothing is lost", []string{"here TestNameChangesInodeStays", "here TestNameAndInodeChange"}},
	{"lock and keywords are where CONTROL= has them", []string{"here TestControl", "internal/apply TestControlElsewhere", "internal/apply TestControlLinks", "internal/remote TestControl"}},
	{"subscriptions are merged by name, as Dovecot writes them", []string{"here TestSubscriptions", "internal/apply TestSubscribeLocked", "merge TestMergeSubscriptions"}},
	{"search indexes find all mail after a sync", []string{"here TestSearch"}},
	{"names of the two sides may differ, and are not made equal", []string{"names of the two sides may differ and stay"}},
	{"a mail client moved it to the other server", []string{"mail that a client moved to the other server is not doubled"}},

	// Rules
	{"what is in new/ counts as present", []string{"unread mail is moved, into new/ of a folder that nobody opens", "fresh mail that no client has seen stays online"}},
	{"nothing is put into new/, nor beside a file of that name in new/", []string{"nothing is put beside a file of that name in new", "internal/apply TestMail", "internal/apply TestDeliveryBetweenOperations"}},
	{"a known message is never imported again; other bytes under its name are reported", []string{"internal/crashtest TestOtherMailOfOneKey", "internal/crashtest TestKeyUsedAgain"}},
	{"names from online are checked, and sizes in them", []string{"wrong sizes in a name do not reach home", "odd names", "tree TestParseNameRefuses"}},
	{"every change is a rename from the exact name, and replaces nothing", []string{"internal/apply TestMail", "internal/apply TestUnlockedRenames", "here TestStress"}},
	{"under dovecot-uidlist.lock, or UIDs are lost", []string{"internal/apply TestDovecotUnderLoad", "internal/apply TestForeignLock", "internal/apply TestLostLock", "here TestStress"}},
	{"a further link means that a client is copying or moving it", []string{"internal/apply TestLinks", "here TestStress"}},
	{"keywords are names, each folder has its own letters", []string{"keywords: one known, one new, one taken away", "keywords that have other letters in the target folder", "letters with other names than before"}},
	{"a letter without a name is never spread; letters in use get no other meaning", []string{"letters without a name are not spread", "internal/apply TestKeywords"}},
	{"26 keywords a folder: what finds no letter is reported", []string{"26 keywords in a folder"}},
	{"unknown letters and a part after the flags stay", []string{"odd names"}},
	{"each flag is merged on its own, whatever was changed last", []string{"merge TestExhaustive", "here TestStress"}},
	{"directories are read in snapshots, and get their times from the kernel: sessions notice", []string{"here TestOnlyFlags", "flag set and flag taken away"}},
	{"folders get owner and mode of their parent", []string{"internal/apply TestFolders"}},
	{"a folder's directory is what it is known by", []string{"a folder is renamed: its mail keeps its UIDs", "internal/crashtest TestRenamedAfterMade", "two folders change their names"}},
	{"layouts and ways to write names differ; the logical name counts", []string{"here TestFSAtHome", "here TestFSOnline", "here TestListescape", "names that are not ASCII, with a space, an ampersand, quotes"}},
	{"Dovecot's own files are neither copied nor changed", []string{"control files are not copied"}},
	{"maildirsize goes when mail comes or goes", []string{"here TestQuota", "internal/apply TestQuotaFile"}},
	{"what online dropped for its age is no deletion", []string{"merge TestExpiryIsNoDeletion"}},
	{"the folder of lazy_expunge is one with a policy", []string{"here TestLazyExpunge", "here TestLazyExpungeSkipped"}},
	{"two servers have two host names, one subvolume a store", []string{"here TestStress"}},
	{"what clients notice: of a flag nothing else; of a move EXPUNGE and EXISTS; a folder that goes ends its sessions",
		[]string{"here TestOnlyFlags", "read mail is moved", "a folder with mail is deleted while a client has it open"}},
}

// TestEachRuleIsShown: what the list names is there.
func TestEachRuleIsShown(t *testing.T) {
	here := map[string]bool{}
	for _, sc := range all {
		here[sc.name] = true
	}
	for _, r := range ruleTests {
		here[r.rule] = true
	}
	for _, r := range shownBy {
		for _, where := range r.where {
			dir, test, ok := strings.Cut(where, " Test")
			if !ok || here[where] {
				if !here[where] {
					t.Errorf("%s: there is no scenario %q", r.rule, where)
				}
				continue
			}
			if dir == "here" {
				dir = "internal/livetest"
			}
			if !hasTest(t, dir, "Test"+test) {
				t.Errorf("%s: there is no %s in %s", r.rule, test, dir)
			}
		}
	}
}

func hasTest(t *testing.T, dir, name string) bool {
	files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
	must(t, err)
	return slices.ContainsFunc(files, func(f string) bool {
		text, err := os.ReadFile(f)
		must(t, err)
		return strings.Contains(string(text), fmt.Sprintf("\nfunc %s(", name))
	})
}

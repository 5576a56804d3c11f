package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A KeywordTable is a folder's dovecot-keywords: the name of letter 'a'+i, ""
// where a letter has none. Names that Dovecot invented for letters it found
// without one ("unknown-3", maildir_keywords_char_idx) are left out: they mean
// unknown.
type KeywordTable [26]string

const (
	// maxKeywordFile bounds what is read of a dovecot-keywords. 26 names of
	// maxKeyword bytes fit in, so no file that Dovecot or Add wrote is refused.
	maxKeywordFile = 64 << 10
	// maxKeyword is five times Dovecot's own limit (mail_max_keyword_length, 50),
	// which can be configured.
	maxKeyword = 255
)

// ErrKeywordsFull is returned by Add if all 26 letters are taken.
var ErrKeywordsFull = errors.New("keywords: all 26 letters are taken")

// ParseKeywords reads a dovecot-keywords file as ReadKeywordFile does and
// returns what its letters mean.
func ParseKeywords(r io.Reader) (KeywordTable, error) {
	f, err := ReadKeywordFile(r)
	return f.Table(), err
}

// Names returns the names of the letters, as SortKeywords orders them, and
// those letters that have none.
func (t KeywordTable) Names(l Letters) (names []string, unnamed Letters) {
	for i, name := range t {
		switch {
		case l&(1<<i) == 0:
		case name == "":
			unnamed |= 1 << i
		default:
			names = append(names, name)
		}
	}
	return SortKeywords(names), unnamed
}

// Letter returns the index of the letter that has this name, whatever its case.
func (t KeywordTable) Letter(name string) (i int, ok bool) {
	return findKeyword(t, name)
}

// Full reports whether every letter has a name. A table that is not full can
// still have no room: KeywordFile.Add knows.
func (t KeywordTable) Full() bool {
	for _, name := range t {
		if name == "" {
			return false
		}
	}
	return true
}

// A KeywordFile is a dovecot-keywords as it must be for whoever extends it:
// with the names that a KeywordTable leaves out, because their letters are in
// use in file names and must not get another meaning.
type KeywordFile struct {
	names [26]string
}

// ReadKeywordFile reads the lines "<0..25> <name>" as
// maildir-keywords.c:maildir_keywords_sync does: a line that is none is
// skipped, one without its newline too; the last line of an index counts; a name
// that another index has already is skipped. It fails if reading does, or if the file is longer than
// 64 KiB, which only a hostile one is.
func ReadKeywordFile(r io.Reader) (KeywordFile, error) {
	var f KeywordFile
	data, err := io.ReadAll(io.LimitReader(r, maxKeywordFile+1))
	if err != nil {
		return f, fmt.Errorf("read keywords: %w", err)
	}
	if len(data) > maxKeywordFile {
		return f, fmt.Errorf("read keywords: more than %d bytes", maxKeywordFile)
	}
	for line := range bytes.Lines(data) {
		text, whole := strings.CutSuffix(string(line), "\n")
		index, name, ok := strings.Cut(strings.TrimSuffix(text, "\r"), " ")
		i, err := strconv.ParseUint(index, 10, 8)
		if !whole || !ok || err != nil || i >= uint64(len(f.names)) || name == "" {
			continue
		}
		if _, taken := findKeyword(f.names, name); !taken {
			f.names[i] = name
		}
	}
	return f, nil
}

// Table returns what the letters mean. Left out, so unknown, are Dovecot's
// inventions and names that no IMAP client could have set.
func (f KeywordFile) Table() KeywordTable {
	t := KeywordTable(f.names)
	for i, name := range t {
		if !validKeyword(name) {
			t[i] = ""
		}
	}
	return t
}

// Letter returns the index of the letter that has this name, whatever its case.
func (f KeywordFile) Letter(name string) (i int, ok bool) {
	return f.Table().Letter(name)
}

// Free returns the lowest index that the file has no line for. A letter that
// file names carry although the file does not know it counts as free, as it
// does for Dovecot until it has seen that file name.
func (f KeywordFile) Free() (i int, ok bool) {
	for i, name := range f.names {
		if name == "" {
			return i, true
		}
	}
	return 0, false
}

// Add gives the name a letter, the one that it has or else the lowest free one,
// and returns its index. The error is ErrKeywordsFull if there is none.
func (f *KeywordFile) Add(name string) (i int, err error) {
	if !validKeyword(name) {
		return 0, fmt.Errorf("keyword %q: no IMAP atom of at most %d bytes, or a name that means unknown", name, maxKeyword)
	}
	if i, ok := f.Letter(name); ok {
		return i, nil
	}
	i, ok := f.Free()
	if !ok {
		return 0, ErrKeywordsFull
	}
	f.names[i] = name
	return i, nil
}

// Bytes returns the file's contents as Dovecot writes them
// (maildir-keywords.c:maildir_keywords_write_fd).
func (f KeywordFile) Bytes() []byte {
	var b []byte
	for i, name := range f.names {
		if name != "" {
			b = fmt.Appendf(b, "%d %s\n", i, name)
		}
	}
	return b
}

func findKeyword(names [26]string, name string) (int, bool) {
	if name == "" {
		return 0, false
	}
	for i, n := range names {
		if n != "" && KeywordKey(n) == KeywordKey(name) {
			return i, true
		}
	}
	return 0, false
}

// validKeyword holds names to what Dovecot accepts from a client
// (mailbox_keyword_is_valid: the bytes of an IMAP atom, RFC 3501 section 9). It
// prints the names in its dovecot-keywords without looking at them, so a name
// like `x) UID 1 (` from a hostile store would speak to the clients at home.
func validKeyword(name string) bool {
	if name == "" || len(name) > maxKeyword || invented(name) {
		return false
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return true
}

// invented reports whether Dovecot made the name up for a letter it found
// without one: "unknown-3", or "unknown-3?" where that name was taken.
func invented(name string) bool {
	n, ok := strings.CutPrefix(KeywordKey(name), "unknown-")
	n = strings.TrimRight(n, "?")
	return ok && n != "" && strings.Trim(n, "0123456789") == ""
}

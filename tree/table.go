package tree

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// A Row is one placement of a table of text: what a person writes down to try a
// merge, and what a bug report shows, without any mail's contents. A line is
//
//	FOLDER <TAB> KEY <TAB> FLAGS [<TAB> KEYWORDS [<TAB> RECEIVED [<TAB> CTIME]]]
//
// with "-" for none, keywords separated by commas, times as in RFC 3339. Lines
// that begin with "#" are comments; empty lines are skipped. The table has no
// column for Placement.New and Placement.Unnamed.
type Row struct {
	Message string // the key: the unique name up to the first ','
	Placement
}

const (
	none = "-"
	// maxLine bounds a line of a table, in bytes.
	maxLine = 1 << 20
)

// ReadTable reads a table. Rows come in the order of their lines, Keywords as
// SortKeywords orders them, times in UTC. The error names the line: a folder or
// key that can not be one, unknown flags, a keyword twice, control characters,
// bytes that are not UTF-8, a key twice in one folder.
func ReadTable(r io.Reader) ([]Row, error) {
	type id struct{ folder, message string }
	seen := map[id]int{}
	var rows []Row
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	n := 1
	for ; lines.Scan(); n++ {
		line := lines.Text()
		if strings.TrimLeft(line, " ") == "" || line[0] == '#' {
			continue
		}
		row, err := parseRow(line)
		if err != nil {
			return nil, fmt.Errorf("table: line %d: %w", n, err)
		}
		i := id{row.Folder, row.Message}
		if first, ok := seen[i]; ok {
			return nil, fmt.Errorf("table: line %d: message %q in %q is in line %d already", n, row.Message, row.Folder, first)
		}
		seen[i] = n
		rows = append(rows, row)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("table: line %d: %w", n, err)
	}
	return rows, nil
}

func parseRow(line string) (row Row, err error) {
	if !utf8.ValidString(line) {
		return row, errors.New("not UTF-8")
	}
	if i := strings.IndexFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }); i >= 0 {
		return row, fmt.Errorf("control character at byte %d", i+1)
	}
	fields := strings.Split(line, "\t")
	if len(fields) < 3 || len(fields) > 6 {
		return row, fmt.Errorf("%d fields between tabs, want 3 to 6: folder, key, flags, keywords, received, ctime", len(fields))
	}
	for len(fields) < 6 {
		fields = append(fields, none)
	}
	row.Folder, row.Message = fields[0], fields[1]
	if err := checkFolder(row.Folder); err != nil {
		return row, fmt.Errorf("folder %q: %w", row.Folder, err)
	}
	if name, err := ParseName(row.Message); err != nil || name.Key() != row.Message {
		return row, fmt.Errorf("message %q: not the key of a file name", row.Message)
	}
	if fields[2] != none {
		if fields[2] == "" {
			return row, errors.New(`no flags, not even "-"`)
		}
		if row.Flags, err = ParseFlags(fields[2]); err != nil {
			return row, err
		}
	}
	if row.Keywords, err = parseKeywordList(fields[3]); err != nil {
		return row, err
	}
	if row.Received, err = parseTime(fields[4]); err != nil {
		return row, fmt.Errorf("received: %w", err)
	}
	if row.Ctime, err = parseTime(fields[5]); err != nil {
		return row, fmt.Errorf("ctime: %w", err)
	}
	return row, nil
}

func parseKeywordList(field string) ([]string, error) {
	if field == none {
		return nil, nil
	}
	names := strings.Split(field, ",")
	for _, name := range names {
		if name == "" || name == none {
			return nil, fmt.Errorf("keywords %q: %q is no keyword", field, name)
		}
	}
	sorted := SortKeywords(names)
	if len(sorted) < len(names) {
		return nil, fmt.Errorf("keywords %q: one is there twice", field)
	}
	return sorted, nil
}

func parseTime(field string) (time.Time, error) {
	if field == none {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, field)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no time like 2015-12-21T03:31:17Z", field)
	}
	return t.UTC(), nil
}

// WriteTable writes rows as a table: sorted by folder and key, columns that are
// none left out at the end of a line, times in UTC. ReadTable reads back what it
// wrote; a row of which that is not true is an error and nothing is written.
func WriteTable(w io.Writer, rows []Row) error {
	sorted := slices.SortedFunc(slices.Values(rows), compareRows)
	var b strings.Builder
	for i, row := range sorted {
		if i > 0 && compareRows(sorted[i-1], row) == 0 {
			return fmt.Errorf("write table: message %q in %q: there twice", row.Message, row.Folder)
		}
		line := row.line()
		back, err := parseRow(line)
		if err == nil && (!row.equal(back) || line[0] == '#' || len(line) >= maxLine) {
			err = errors.New("a table can not tell this row")
		}
		if err != nil {
			return fmt.Errorf("write table: message %q in %q: %w", row.Message, row.Folder, err)
		}
		b.WriteString(line + "\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func compareRows(a, b Row) int {
	return cmp.Or(strings.Compare(a.Folder, b.Folder), strings.Compare(a.Message, b.Message))
}

func (r Row) line() string {
	fields := []string{
		r.Folder, r.Message,
		cmp.Or(r.Flags.String(), none),
		cmp.Or(strings.Join(r.Keywords, ","), none),
		formatTime(r.Received), formatTime(r.Ctime),
	}
	for len(fields) > 3 && fields[len(fields)-1] == none {
		fields = fields[:len(fields)-1]
	}
	return strings.Join(fields, "\t")
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func (r Row) equal(s Row) bool {
	return r.Message == s.Message && r.Folder == s.Folder && r.Flags == s.Flags &&
		slices.Equal(r.Keywords, s.Keywords) && r.Unnamed == s.Unnamed && r.New == s.New &&
		r.Received.Equal(s.Received) && r.Ctime.Equal(s.Ctime)
}

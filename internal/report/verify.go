package report

import (
	"fmt"
	"strings"

	"snapmerge/internal/verify"
)

// A Verified is what was found in a mailbox; without a Result only Err is there.
type Verified struct {
	Mailbox string
	*verify.Result
	Err error
}

// VerifyText names every finding, and how to mend it.
func VerifyText(v Verified, st Style) string {
	if v.Result == nil {
		return ""
	}
	looked := fmt.Sprintf("%s, %s, %s", plural(v.Records, "record", "records"), plural(v.Snapshots, "snapshot", "snapshots"), plural(v.Mails, "mail", "mails"))
	if v.Digests > 0 {
		looked += fmt.Sprintf(", %d of them read", v.Digests)
	}
	n := v.findings()
	head := ": nothing wrong"
	if n > 0 {
		head = ": " + st.paint(red, plural(n, "finding", "findings"))
	}
	var b strings.Builder
	b.WriteString(st.paint(bold, Word(v.Mailbox)) + head + " (" + looked + ")\n")
	last := verify.Code("")
	for i, f := range v.Findings {
		if f.Code != last {
			fmt.Fprintf(&b, "%s: %s\n", f.Code, f.About)
			last = f.Code
		}
		fmt.Fprintf(&b, "  %s: %s\n", Word(f.Where), Clean(f.What))
		if i+1 == len(v.Findings) || v.Findings[i+1].Code != f.Code {
			if more := v.More[f.Code]; more > 0 {
				fmt.Fprintf(&b, "  and %d more\n", more)
			}
			fmt.Fprintf(&b, "  mend: %s\n", f.Mend)
		}
	}
	if v.Rebuilt {
		b.WriteString("the index was made anew\n")
	}
	return b.String()
}

func (v Verified) findings() int {
	n := len(v.Findings)
	for _, more := range v.More {
		n += more
	}
	return n
}

// VerifyJSON is the document of "verify --json".
func VerifyJSON(list []Verified) string {
	type finding struct {
		Code  string `json:"code"`
		Where string `json:"where"`
		What  string `json:"what"`
		About string `json:"about"`
		Mend  string `json:"mend"`
	}
	type mailbox struct {
		Mailbox   string         `json:"mailbox"`
		Findings  []finding      `json:"findings"`
		More      map[string]int `json:"more"` // of a code, beyond those that are listed
		Records   int            `json:"records"`
		Snapshots int            `json:"snapshots"`
		Mails     int            `json:"mails"`
		Digests   int            `json:"digests"`
		Rebuilt   bool           `json:"rebuilt"`
		Notes     []string       `json:"notes,omitempty"`
		Error     string         `json:"error,omitempty"`
	}
	doc := struct {
		Version   int       `json:"version"`
		Mailboxes []mailbox `json:"mailboxes"`
	}{1, []mailbox{}}
	for _, v := range list {
		m := mailbox{Mailbox: v.Mailbox, Findings: []finding{}, More: map[string]int{}}
		if v.Result != nil {
			for _, f := range v.Findings {
				m.Findings = append(m.Findings, finding{string(f.Code), jsonText(f.Where), jsonText(f.What), f.About, f.Mend})
			}
			for c, n := range v.More {
				m.More[string(c)] = n
			}
			m.Records, m.Snapshots, m.Mails, m.Digests, m.Rebuilt, m.Notes = v.Records, v.Snapshots, v.Mails, v.Digests, v.Rebuilt, jsonTexts(v.Notes)
		}
		if v.Err != nil {
			m.Error = jsonText(v.Err.Error())
		}
		doc.Mailboxes = append(doc.Mailboxes, m)
	}
	return document(doc)
}

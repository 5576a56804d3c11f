package tree

import (
	"fmt"
	"math/bits"
)

// Flags is a set of the upper-case letters of a Maildir name: bit i is 'A'+i.
// D, F, R, S and T are Dovecot's; any other is kept as it is, as Dovecot does
// (maildir-filename-flags.c:maildir_filename_flags_full_set).
type Flags uint32

// Seen and Deleted are the two letters that the merge treats on their own.
const (
	Seen    Flags = 1 << ('S' - 'A')
	Deleted Flags = 1 << ('T' - 'A')
	Flagged Flags = 1 << ('F' - 'A')
)

// ParseFlags reads letters A to Z in any order; a letter may come twice.
func ParseFlags(s string) (Flags, error) {
	var f Flags
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return 0, fmt.Errorf("flags %q: %q is no letter from A to Z", s, s[i])
		}
		f |= 1 << (s[i] - 'A')
	}
	return f, nil
}

// String returns the letters in ASCII order, as Dovecot writes them.
func (f Flags) String() string {
	b := make([]byte, 0, bits.OnesCount32(uint32(f)))
	for i := range 26 {
		if f&(1<<i) != 0 {
			b = append(b, byte('A'+i))
		}
	}
	return string(b)
}

// Letters is a set of the lower-case letters of a Maildir name: bit i is 'a'+i.
// What a letter means is told by the folder's KeywordTable.
type Letters uint32

// String returns the letters in ASCII order.
func (l Letters) String() string {
	b := make([]byte, 0, bits.OnesCount32(uint32(l)))
	for i := range 26 {
		if l&(1<<i) != 0 {
			b = append(b, byte('a'+i))
		}
	}
	return string(b)
}

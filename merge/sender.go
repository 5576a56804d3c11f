package merge

import (
	"slices"
	"strings"
)

// MatchSender tells whether one of the patterns matches one of the addresses.
// "*" stands for any characters, so "torvalds@*" and "*@kernel.org" are
// patterns; case does not count. No address matches nothing.
func MatchSender(patterns, addresses []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		return slices.ContainsFunc(addresses, func(a string) bool {
			return matchLevel(strings.ToLower(p), strings.ToLower(a))
		})
	})
}

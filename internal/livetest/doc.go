// Package livetest is tests only: two Dovecots, real clients, and snapmerge
// between them.
package livetest

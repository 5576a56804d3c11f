// Package livetest is tests only: a Dovecot on each side, real clients, and
// syncs between them.
//
// What clients do and what those of the other side see of it are tables
// (table_test.go, folders_table_test.go), lived with both layouts and with
// several settings of Dovecot (pairs_test.go). Rules that take more than a line
// are in rules_test.go and beside it. coverage_test.go says which rule of
// Dovecot's Maildir is shown by which test, here or elsewhere. TestStress has
// eight clients work while syncs run.
package livetest

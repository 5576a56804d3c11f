// Package crashtest has no code, only tests of a whole sync that something goes
// wrong with: it is killed at every system call that changes anything, the power
// fails, the disk is full or read-only, the online store is not there, the index
// is lost, and mail changes while it runs.
//
// What must be true in the end is always the same: the two stores are what an
// undisturbed sync makes of them, nothing is lost and nothing is there twice.
// The tests read the stores with a small reader of their own (look_test.go), not
// with the program's.
//
// The kill tests run all kill points with SNAPMERGE_KILLS=all, else a sample,
// whose seed is printed; SNAPMERGE_SEED=N repeats it.
package crashtest

// Package bench measures whole syncs of the real program through a real sshd,
// each stage beside its floor: what the kernel alone needs for the same work, on
// the same machine in the same run. It has benchmarks only; "make bench" runs them.
package bench

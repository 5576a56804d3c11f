package stream

import "golang.org/x/sys/unix"

// RefusedXattr is the extended attribute that tells why a file of a mirror stands
// for something that was refused, see [Receive]: "symbolic link", "device", "FIFO",
// "socket", "larger than the limit of 1000 bytes", "made from a file that was
// refused". Reading it needs CAP_DAC_OVERRIDE, as the file's mode is 0.
const RefusedXattr = "user.snapmerge.refused"

func specialFile(c Command) string {
	switch c.Op {
	case Symlink:
		return "symbolic link"
	case Mkfifo:
		return "FIFO"
	case Mksock:
		return "socket"
	}
	return "device"
}

// isRefused tells a file that stands for something refused: nothing else in a
// mirror has mode 0. The attribute is not asked for, as a process without
// capabilities may not read it.
func isRefused(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o7777 == 0
}

// makeRefused makes the file that stands for something refused; c is a Mkfile.
func (r *receiver) makeRefused(c Command, why string) error {
	if err := r.make(c); err != nil {
		return err
	}
	if err := r.settle(); err != nil {
		return err
	}
	return r.refuseFile(why)
}

// refuseFile makes the open file one that stands for something refused.
func (r *receiver) refuseFile(why string) error {
	f := &r.file
	if err := unix.Ftruncate(f.fd, 0); err != nil {
		return r.onDisk(err)
	}
	// The attribute first: at mode 0 its own owner may not set it.
	if err := unix.Fsetxattr(f.fd, RefusedXattr, []byte(why), 0); err != nil {
		return r.onDisk(err)
	}
	if err := unix.Fchmod(f.fd, 0); err != nil {
		return r.onDisk(err)
	}
	f.refused, f.size = true, 0
	r.stats.Refused++
	return nil
}
